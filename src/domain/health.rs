//! Whether a provider is fit to be asked.
