//! Load generation: simulated messages, users and senders, the simulation, and the sandbox server.
//!
//! Drives the engine through its public functions and changes nothing in it. Prints nothing, draws nothing and handles no
//! signals: callers pass [`interrupts::Interrupts`] and a progress function, and print the text they get back.

pub mod interrupts;
pub mod messages;
pub mod mock_sender;
pub mod mock_worker;
pub mod options;
pub mod produce;
mod random_data;
pub mod rate;
pub mod sandbox_server;
pub mod simulate;
pub mod users;
