//! How many text parts a body takes.
