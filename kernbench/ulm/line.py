"""The RF line: rates, lengths and constants that simulator, scores and data share."""

SAMPLES = 8446  # of a whole line: 0.1 m of depth and back

LABEL_SUPPORT = (312, 8177)  # [first, stop) of the samples that can carry a label: bubbles are 3.7 to 96.3 mm deep

SAMPLE_RATE_HZ = 62.5e6

IMAGING_DEPTH_M = 0.1

SPEED_OF_SOUND_M_PER_S = 1480.0

PULSE_FREQUENCY_HZ = 1.7e6
