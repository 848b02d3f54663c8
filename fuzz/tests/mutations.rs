//! Runs every fuzz target with mutated seeds on a stable toolchain.
//!
//! `POSTRIDER_FUZZ_SECONDS` is the time for each target (default 8). A failure prints the input as a Rust byte string;
//! `POSTRIDER_FUZZ_SEED` repeats a run.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]
// A test may panic, and needs the real clock and the environment.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use postrider_fuzz::{FuzzTarget, TARGETS};

/// Texts that parsers treat specially, inserted at random places.
const TOKENS: [&[u8]; 16] = [
    b"\0",
    b"\r\n",
    b"%",
    b"%00",
    b"&",
    b"=",
    b"{",
    b"}",
    b"\"",
    b"\\u0000",
    b"\xff\xfe",
    b"\xe2\x80\x8b",
    b"-1",
    b"1e999",
    b"9999999999999999999",
    b"id: stat:",
];

/// Maximum size of an input, in bytes.
const INPUT_BYTES_MAX: usize = 4_096;

/// Generator of random numbers (SplitMix64), so that a run can be repeated from its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }
}

fn environment_number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

/// Changes one to eight places of a seed.
fn mutate(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut input = seeds[random.below(seeds.len())].clone();
    for _ in 0..=random.below(8) {
        let at = random.below(input.len() + 1);
        match random.below(6) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = u8::try_from(random.below(256)).unwrap(),
            2 => input.truncate(at),
            3 => {
                let token = TOKENS[random.below(TOKENS.len())];
                input.splice(at..at, token.iter().copied());
            }
            4 => {
                let other = &seeds[random.below(seeds.len())];
                let start = random.below(other.len());
                let end = start + random.below(other.len() - start + 1);
                input.splice(at..at, other[start..end].iter().copied());
            }
            _ => {
                let end = at + random.below(input.len() - at + 1).min(64);
                let copy = input[at..end].to_vec();
                input.splice(at..at, copy);
            }
        }
        input.truncate(INPUT_BYTES_MAX);
    }
    input
}

fn fuzz(target: &FuzzTarget) {
    let seconds = environment_number("POSTRIDER_FUZZ_SECONDS").unwrap_or(8);
    let seed = environment_number("POSTRIDER_FUZZ_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    let seeds = (target.seeds)();
    for input in &seeds {
        run_target(target, input, seed);
    }
    let mut random = Random(seed);
    let (started, mut count) = (Instant::now(), 0_u64);
    // At least one input, however slow the machine is.
    while count == 0 || started.elapsed() < Duration::from_secs(seconds) {
        run_target(target, &mutate(&mut random, &seeds), seed);
        count += 1;
    }
    println!("{}: {count} inputs, seed {seed}", target.name);
}

fn run_target(target: &FuzzTarget, input: &[u8], seed: u64) {
    if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
        panic!("{} failed, seed {seed}, input b\"{}\"", target.name, input.escape_ascii());
    }
}

fn target(name: &str) -> &'static FuzzTarget {
    TARGETS.iter().find(|target| target.name == name).unwrap()
}

#[test]
fn smpp_pdus_are_parsed_without_a_panic() {
    fuzz(target("smpp_pdus"));
}

#[test]
fn provider_callbacks_are_parsed_without_a_panic() {
    fuzz(target("provider_callbacks"));
}

#[test]
fn http_requests_never_cause_a_server_error() {
    fuzz(target("http_requests"));
}

#[test]
fn http_templates_are_read_without_a_panic() {
    fuzz(target("http_templates"));
}

#[test]
fn a_normal_form_of_an_address_is_its_own_normal_form() {
    fuzz(target("addresses"));
}

#[test]
fn configuration_files_are_loaded_or_rejected_in_one_line() {
    fuzz(target("config_files"));
}
