//! Measures the gateway against a bare server in the same run, and prints one table.
//!
//! `cargo bench --bench gateway` runs everything; `cargo bench --bench gateway -- intake page` only those rows.
//! The figures that count are the ratios: machines are shared and noisy, and the load generator runs on the same
//! cores. Every 2xx counted here came after the message's own flush to disk.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::cast_precision_loss
)]
// A bench may stop at the first surprise, needs the real clock and the environment, and prints rounded figures.

mod channels;
mod footprint;
mod http_load;
mod load_commands;
mod postgres;
mod processes;
mod rows;
mod servers;
mod smsc;

use rows::BenchRow;

fn main() {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime
        .worker_threads(threads)
        .enable_all()
        .build()
        .expect("start the runtime");
    if let Ok(role) = std::env::var("POSTRIDER_BENCH_ROLE") {
        return runtime.block_on(servers::serve_role(&role));
    }
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    let mut table: Vec<BenchRow> = Vec::new();
    for (name, measure) in rows::BENCHMARKS {
        if is_wanted(name) {
            eprintln!("measuring {name} …");
            table.extend(runtime.block_on(measure()));
        }
    }
    print_table(&table);
    assert!(
        !table.is_empty(),
        "no such row; the rows are {:?}",
        rows::BENCHMARKS.map(|(name, _)| name)
    );
}

fn print_table(table: &[BenchRow]) {
    println!("| what | measured | ratio to bare | floor | |");
    println!("|---|---|---|---|---|");
    for row in table {
        println!(
            "| {} | {} | {} | {} | {} |",
            row.name,
            row.measured,
            row.ratio,
            row.floor,
            row.verdict()
        );
    }
}
