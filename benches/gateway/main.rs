//! Benchmarks: measures the gateway and a bare server on the same machine in turn, and prints one table.
//!
//! `cargo bench --bench gateway` runs everything; `cargo bench --bench gateway -- intake page` only those rows. Only the
//! ratios are comparable between machines: the load generator shares the cores, and each ratio is the median of three.
//! Every counted 2xx response came after the fsync of its message. `POSTRIDER_BENCH_BUILD=1` adds build times.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::cast_precision_loss
)]
// A benchmark may panic, needs the system clock and the environment, and prints rounded numbers.

mod build_times;
mod channels;
mod footprint;
mod http;
mod http_load;
mod load_commands;
mod postgres;
mod postgres_server;
mod processes;
mod row;
mod servers;
mod smsc;
mod workload;

use std::pin::Pin;

use row::BenchRow;

/// The allocator of the program, so that the bare server differs only in its work.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type BenchFn = fn() -> Pin<Box<dyn Future<Output = Vec<BenchRow>>>>;

/// All benchmarks by name.
const BENCHMARKS: [(&str, BenchFn); 21] = [
    ("intake", || Box::pin(http::intake())),
    ("countries", || Box::pin(http::intake_mixed_countries())),
    ("through", || Box::pin(http::end_to_end())),
    ("http", || Box::pin(http::end_to_end_http())),
    ("smpp", || Box::pin(channels::smpp())),
    ("smpp-receipts", || Box::pin(channels::smpp_receipts())),
    ("three-channels", || Box::pin(channels::three_channels())),
    ("slow", || Box::pin(http::intake_slow_fsync())),
    ("page", || Box::pin(http::report_page())),
    ("report", || Box::pin(http::one_million_waiting())),
    ("start", || Box::pin(http::startup())),
    ("produce", || Box::pin(load_commands::produce_and_monitor())),
    ("simulate", || Box::pin(load_commands::simulate())),
    ("senders", || Box::pin(load_commands::sender_throughput())),
    ("postgres-intake", || Box::pin(postgres::intake())),
    ("postgres-through", || Box::pin(postgres::end_to_end())),
    ("postgres-claim", || Box::pin(postgres::claim_latency())),
    ("postgres-workers", || Box::pin(postgres::worker_scaling())),
    ("footprint", || Box::pin(footprint::cost_on_sqlite())),
    ("postgres-footprint", || Box::pin(footprint::cost_on_postgres())),
    ("build", || Box::pin(build_times::build_times())),
];

fn main() {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(threads).enable_all().build().expect("start the runtime");
    if let Ok(role) = std::env::var("POSTRIDER_BENCH_ROLE") {
        return runtime.block_on(servers::serve_role(&role));
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    let mut table: Vec<BenchRow> = Vec::new();
    for (name, measure) in BENCHMARKS {
        if is_wanted(name) {
            eprintln!("measuring {name}");
            table.extend(runtime.block_on(measure()));
        }
    }
    print_table(&table);
    assert!(!table.is_empty(), "no row measured; the rows are {:?}", BENCHMARKS.map(|(name, _)| name));
}

fn print_table(table: &[BenchRow]) {
    println!("| row | measured | ratio to bare | floor | |");
    println!("|---|---|---|---|---|");
    for row in table {
        println!(
            "| {} | {} | {} | {} | {} |",
            row.name,
            row.measured,
            row.ratio,
            row.floor,
            row.result_word()
        );
    }
}
