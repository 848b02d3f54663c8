//! How fast a provider may be asked.
