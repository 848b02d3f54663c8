//! The conformance suite through pgbouncer in transaction mode.

use std::{path::Path, process::Stdio, sync::OnceLock};

use super::server::{command_as_owner, wait_until};
use super::*;
use crate::ReportStore;
use postrider_core::testing::backend_server::free_port;

/// Fewer connections than one store opens, so that they are shared.
const SERVER_CONNECTIONS: usize = 5;

/// Starts a pooler in front of the server of a URL and returns its port. The pooler ends with the test binary.
fn start_pooler(url: &str) -> u16 {
    let server = url.rsplit_once('/').unwrap().0.rsplit_once(':').unwrap().1;
    let directory = tempfile::tempdir().unwrap();
    let port = free_port();
    let settings = format!(
        "[databases]\n* = host=127.0.0.1 port={server} user=postgres\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = any\npool_mode = transaction\ndefault_pool_size = {SERVER_CONNECTIONS}\n\
         max_client_conn = 2000\n"
    );
    let file = directory.path().join("pgbouncer.ini");
    std::fs::write(&file, settings).unwrap();
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), readable).unwrap();
    std::thread::spawn(move || {
        // On Debian it is not in the search path of ordinary users.
        let programs = [Path::new("/usr/sbin/pgbouncer"), Path::new("pgbouncer")];
        let program = programs.into_iter().find(|program| program.is_file());
        let mut command = command_as_owner(program.unwrap_or(programs[1]), Path::new("/"));
        command.arg(&file).stdout(Stdio::null()).stderr(Stdio::null());
        let ended = command.status();
        panic!("pgbouncer ended, {ended:?}: `apt-get install pgbouncer`, or `./start.sh test`");
    });
    wait_until("pgbouncer answers (`apt-get install pgbouncer`, or `./start.sh test`)", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    port
}

/// Returns the URLs of a new database, directly and through the pooler.
fn pooled_database() -> (String, String) {
    static POOLER: OnceLock<u16> = OnceLock::new();
    let url = new_database();
    let port = POOLER.get_or_init(|| start_pooler(&url));
    let (rest, name) = url.rsplit_once('/').unwrap();
    let (host, _) = rest.rsplit_once(':').unwrap();
    let through = format!("{host}:{port}/{name}");
    (url, through)
}

fn fresh_database() -> StoreOpener {
    let (_, url) = pooled_database();
    Box::new(move || Arc::new(open(&url).unwrap()) as Arc<dyn Store>)
}

conformance_tests!(super::fresh_database);

#[tokio::test(flavor = "multi_thread")]
async fn several_processes_share_few_connections() {
    let (url, through) = pooled_database();
    let mut hosts = tokio::task::JoinSet::new();
    for host in 0..4 {
        let through = through.clone();
        hosts.spawn(async move {
            let store = Arc::new(open(&through).unwrap());
            let mut senders = tokio::task::JoinSet::new();
            for number in 0..50 {
                let store = Arc::clone(&store);
                senders.spawn(async move {
                    let number = host * 1_000 + number;
                    let id = accepted(&*store, sms(number)).await;
                    claim_and_send(&*store, id, "blue", &format!("b-{number}"), at(1)).await;
                });
            }
            senders.join_all().await;
            while store.apply_changes(100).await.unwrap() > 0 {}
        });
    }
    hosts.join_all().await;
    let store = open(&url).unwrap();
    while store.apply_changes(100).await.unwrap() > 0 {}
    let report = store.report(at(9)).await.unwrap();
    assert_eq!((report.messages, report.totals.sent), (200, 200));
    let transaction = store.pool.begin_read().await.unwrap();
    let clients = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()";
    let clients = transaction.query_one(clients, &[]).await.unwrap().get::<_, i64>(0);
    assert!(clients <= 1 + i64::try_from(SERVER_CONNECTIONS).unwrap(), "{clients} connections");
}
