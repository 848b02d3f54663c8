//! Priority of a delivery in the queue.

/// Which of two due deliveries goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Before all that is normal: one-time codes.
    High,
    /// Everything else.
    #[default]
    Normal,
}
