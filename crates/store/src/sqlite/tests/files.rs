//! What is in the file: migrations, copies, the view for people, and what URLs may name.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::TestStore;
use crate::sqlite::{SqliteStore, migrate};
use crate::testing::fixtures::{accepted, at, claim_and_send, hourly, id, name, sms};
use crate::{AcceptStore, CoordinationStore, MaintenanceStore, ProviderEndpoint, ReadStore, ReportStore};
use postrider_core::error::ErrorKind;

#[test]
fn stores_that_start_at_once_migrate_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("postrider.db");
    let starts: Vec<_> = (0..6)
        .map(|_| {
            let file = file.clone();
            std::thread::spawn(move || migrate(&file, Duration::from_secs(30)).unwrap())
        })
        .collect();
    let applied: Vec<_> = starts
        .into_iter()
        .flat_map(|start| start.join().unwrap())
        .collect();
    assert_eq!(applied.first().map(String::as_str), Some("0001_schema"));
    assert!(
        applied.is_sorted_by(|one, next| one < next),
        "each once: {applied:?}"
    );
}

#[test]
fn a_newer_database_is_refused() {
    let bench = TestStore::new();
    let newer = "INSERT INTO migrations (number, name) VALUES (9999, 'later')";
    bench.foreign_connection().execute_batch(newer).unwrap();
    let Err(error) = SqliteStore::open(&bench.file(), Duration::from_secs(1)) else {
        panic!("opened");
    };
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[test]
fn other_programs_files_are_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = folder.path().join("theirs.db");
    let connection = Connection::open(&theirs).unwrap();
    connection
        .execute_batch("CREATE TABLE photos (name TEXT)")
        .unwrap();
    let letter = folder.path().join("letter.txt");
    std::fs::write(&letter, "Dear reader, ".repeat(500)).unwrap();
    for file in [&theirs, &letter] {
        let Err(error) = SqliteStore::open(file, Duration::from_secs(1)) else {
            panic!("opened");
        };
        assert_eq!(error.kind(), ErrorKind::Usage, "{}", error.chain());
    }
    assert!(std::fs::read(&letter).unwrap().starts_with(b"Dear reader, Dear"));
    let tables = "SELECT count(*) FROM sqlite_schema";
    let count = connection.query_row(tables, [], |row| row.get::<_, i64>(0));
    assert_eq!(count.unwrap(), 1);
}

#[tokio::test]
async fn a_copy_is_whole_while_the_store_is_busy() {
    let bench = TestStore::new();
    for batch in 0..20 {
        bench
            .store
            .accept((0..100).map(|which| sms(batch * 100 + which)).collect())
            .await
            .unwrap();
    }
    let copy = bench.folder.path().join("copy.db");
    let steps = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = Arc::clone(&steps);
    let progress = Box::new(move |done, all| told.lock().unwrap().push((done, all)));
    let busy = async {
        for which in 5_000..5_200 {
            accepted(&bench.store, sms(which)).await;
        }
    };
    let (copied, ()) = tokio::join!(bench.store.backup(copy.clone(), progress), busy);
    copied.unwrap();
    let (done, all) = *steps.lock().unwrap().last().unwrap();
    assert!(done == all && all > 0);
    let twin = SqliteStore::open(&copy, Duration::from_secs(30)).unwrap();
    assert!(twin.find_message(id(1_999)).await.unwrap().is_some());
    assert_eq!(
        twin.store_secret().await.unwrap(),
        bench.store.store_secret().await.unwrap()
    );
    let onto_itself = bench.store.backup(bench.file(), Box::new(|_, _| {})).await;
    assert_eq!(onto_itself.unwrap_err().kind(), ErrorKind::Usage);
}

#[tokio::test]
async fn people_find_their_columns_in_the_view() {
    let bench = TestStore::new();
    let first = accepted(&bench.store, sms(1)).await;
    accepted(&bench.store, sms(2)).await;
    claim_and_send(&bench.store, first, "blue", "b-1", at(1)).await;
    let place = ProviderEndpoint {
        name: name("blue"),
        host: "sms.example.org".to_owned(),
        port: 8443,
    };
    bench.store.save_provider_endpoints(vec![place]).await.unwrap();
    bench.store.apply_changes(1).await.unwrap();
    let stranger = bench.foreign_connection();
    let mut statement = stranger
        .prepare("SELECT * FROM notifications ORDER BY id")
        .unwrap();
    let columns = [
        "id",
        "mobile",
        "server",
        "port",
        "status",
        "synced",
        "type",
        "created_at",
        "body",
    ];
    assert!(statement.column_names().eq(columns));
    let rows: Vec<(String, String, i64, i64, i64, i64, String)> = statement
        .query_map([], |row| {
            Ok((
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
                row.get(6)?,
                row.get(7)?,
            ))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mobile = || "as written +989121111111".to_owned();
    let when = || "2023-11-14 22:00:00".to_owned();
    let one = (mobile(), "sms.example.org".to_owned(), 8443, 1, 1, 1, when());
    let two = (mobile(), String::new(), 0, 0, 0, 1, when());
    assert_eq!(rows, [one, two]);
}

#[tokio::test]
async fn commits_are_counted() {
    let bench = TestStore::new();
    accepted(&bench.store, sms(1)).await;
    let stats = bench.store.commit_stats().unwrap();
    assert_eq!(
        (
            stats.commits(),
            stats.operations(),
            stats.operations_last(),
            stats.operations_max()
        ),
        (1, 1, 1, 1)
    );
}

#[test]
fn urls_that_name_no_file_say_what_to_write() {
    for url in [
        "mysql://db/postrider",
        "mysql:x",
        "sqlite:",
        "sqlite::memory:",
        "sqlite:/no/such/folder/p.db",
    ] {
        let Err(error) = crate::open(url, Duration::from_secs(1)) else {
            panic!("{url} opened");
        };
        assert_eq!(error.kind(), ErrorKind::Usage, "{url}: {error}");
    }
}

#[tokio::test]
async fn throttles_that_count_nothing_any_more_are_pruned() {
    let bench = TestStore::new();
    let mut question = sms(1);
    question.throttles = vec![hourly(1, 300)];
    accepted(&bench.store, question).await;
    let kept = || {
        let count = "SELECT count(*) FROM user_throttles";
        let stranger = bench.foreign_connection();
        stranger.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    bench.store.delete_expired(at(0), at(7199), 10).await.unwrap();
    assert_eq!(kept(), 1);
    bench.store.delete_expired(at(0), at(7200), 10).await.unwrap();
    assert_eq!(kept(), 0);
}
