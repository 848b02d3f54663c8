//! The only file that makes random numbers.
//!
//! Everything else gets `luck` as an argument, so that a seed replays a whole run.

use std::sync::Mutex;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// A source of luck: the thread's generator, or a seeded one that replays.
#[derive(Debug, Default)]
pub enum Random {
    /// Different on every run.
    #[default]
    Thread,
    /// The same sequence for the same seed.
    Seeded(Box<Mutex<StdRng>>),
}

impl Random {
    /// Dice that throw the same sequence for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self::Seeded(Box::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    /// Dice for a seed that somebody may have asked for.
    pub fn from_optional_seed(seed: Option<u32>) -> Self {
        seed.map_or_else(Self::default, |seed| Self::seeded(seed.into()))
    }

    /// A number from 0 (included) to 1 (excluded).
    pub fn fraction(&self) -> f64 {
        self.sample()
    }

    /// Random bytes for an identifier.
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
            Self::Seeded(generator) => {
                let mut generator = generator
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                generator.random()
            }
        }
    }
}
