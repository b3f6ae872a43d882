//! Programs that show DCM at work, and load programs
