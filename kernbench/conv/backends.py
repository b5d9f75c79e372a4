"""Convolution backends by name, with one line each; known without torch."""

BACKENDS = {
    "auto": "direct, fft or overlap_save, from shapes and constants that were measured once",
    "direct": "torch.nn.functional.conv1d; best for few taps",
    "overlap_save": "the line in overlapping blocks, an FFT for each; best for kernels much shorter than the line",
    "fft": "one FFT of good length, then one complex matrix product per frequency; best for many taps",
    "fft_conv": "the package fft-conv-pytorch, as the thesis used it; float32 inside, much memory",
}
