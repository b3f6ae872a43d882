//! Stores for DCM: memory and sled behind one trait, and the encryption of what they keep
