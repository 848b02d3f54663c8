//! The priority of a delivery.

/// The order of due deliveries: all of high priority are sent before those of normal priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Urgent messages such as one-time codes.
    High,
    /// All other messages.
    #[default]
    Normal,
}
