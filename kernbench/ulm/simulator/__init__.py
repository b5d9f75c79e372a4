"""From bubbles to RF lines: physics, transducer, populations, noise."""
