//! The only module that makes random numbers.
//!
//! All other modules take random numbers as arguments, so that a seed replays a whole run.

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A source of random numbers.
#[derive(Debug, Default)]
pub enum Random {
    /// The generator of the thread: different on every run.
    #[default]
    Thread,
    /// A seeded generator: the same sequence for the same seed.
    Seeded(Box<Mutex<StdRng>>),
}

impl Random {
    /// Returns a generator that gives the same sequence for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Box::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// Returns a seeded generator if there is a seed.
    pub fn from_optional_seed(seed: Option<u32>) -> Self {
        seed.map_or_else(Self::default, |seed| Self::seeded(seed.into()))
    }

    /// Returns a number from 0 (included) to 1 (excluded).
    pub fn fraction(&self) -> f64 {
        self.sample()
    }

    /// Returns random bytes for an identifier.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        self.sample()
    }

    #[allow(clippy::disallowed_methods)]
    fn sample<T>(&self) -> T
    where
        rand::distr::StandardUniform: rand::distr::Distribution<T>,
    {
        match self {
            Self::Thread => rand::rng().random(),
            Self::Seeded(generator) => generator.lock().random(),
        }
    }
}
