//! The database file: migrations, backups, the view for operators, and store URLs.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::TestStore;
use crate::sqlite::{SqliteStore, migrate};
use crate::testing::fixtures::{accepted, at, claim_and_send, hourly, id, name, sms};
use crate::{AcceptStore, CoordinationStore, MaintenanceStore, ProviderEndpoint, ReadStore, ReportStore};
use postrider_core::error::ErrorKind;

#[test]
fn stores_that_start_together_migrate_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("postrider.db");
    let starts: Vec<_> = (0..6)
        .map(|_| {
            let file = file.clone();
            std::thread::spawn(move || migrate(&file, Duration::from_secs(30)).unwrap())
        })
        .collect();
    let applied: Vec<_> = starts.into_iter().flat_map(|start| start.join().unwrap()).collect();
    assert_eq!(applied.first().map(String::as_str), Some("0001_schema"));
    assert!(applied.is_sorted_by(|one, next| one < next), "each once: {applied:?}");
}

#[test]
fn a_newer_database_is_refused() {
    let fixture = TestStore::new();
    let newer = "INSERT INTO migrations (number, name) VALUES (9999, 'later')";
    fixture.foreign_connection().execute_batch(newer).unwrap();
    let Err(error) = SqliteStore::open(&fixture.file(), Duration::from_secs(1)) else {
        panic!("opened");
    };
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[test]
fn files_of_other_programs_are_refused_and_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let foreign = folder.path().join("foreign.db");
    let connection = Connection::open(&foreign).unwrap();
    connection.execute_batch("CREATE TABLE photos (name TEXT)").unwrap();
    let text_file = folder.path().join("text_file.txt");
    std::fs::write(&text_file, "Dear reader, ".repeat(500)).unwrap();
    for file in [&foreign, &text_file] {
        let Err(error) = SqliteStore::open(file, Duration::from_secs(1)) else {
            panic!("opened");
        };
        assert_eq!(error.kind(), ErrorKind::Usage, "{}", error.chain());
    }
    assert!(std::fs::read(&text_file).unwrap().starts_with(b"Dear reader, Dear"));
    let tables = "SELECT count(*) FROM sqlite_schema";
    let count = connection.query_row(tables, [], |row| row.get::<_, i64>(0));
    assert_eq!(count.unwrap(), 1);
}

#[tokio::test]
async fn a_backup_of_a_busy_store_is_complete() {
    let fixture = TestStore::new();
    for batch in 0..20 {
        fixture.store.accept((0..100).map(|number| sms(batch * 100 + number)).collect()).await.unwrap();
    }
    let copy = fixture.folder.path().join("copy.db");
    let steps = Arc::new(std::sync::Mutex::new(Vec::new()));
    let recorded = Arc::clone(&steps);
    let progress = Box::new(move |done, total| recorded.lock().unwrap().push((done, total)));
    let writes = async {
        for number in 5_000..5_200 {
            accepted(&fixture.store, sms(number)).await;
        }
    };
    let (copied, ()) = tokio::join!(fixture.store.backup(copy.clone(), progress), writes);
    copied.unwrap();
    let (done, total) = *steps.lock().unwrap().last().unwrap();
    assert!(done == total && total > 0);
    let backup = SqliteStore::open(&copy, Duration::from_secs(30)).unwrap();
    assert!(backup.find_message(id(1_999)).await.unwrap().is_some());
    assert_eq!(backup.store_secret().await.unwrap(), fixture.store.store_secret().await.unwrap());
    let to_itself = fixture.store.backup(fixture.file(), Box::new(|_, _| {})).await;
    assert_eq!(to_itself.unwrap_err().kind(), ErrorKind::Usage);
}

#[tokio::test]
async fn the_view_has_the_columns_of_the_replaced_gateway() {
    let fixture = TestStore::new();
    let first = accepted(&fixture.store, sms(1)).await;
    accepted(&fixture.store, sms(2)).await;
    claim_and_send(&fixture.store, first, "blue", "b-1", at(1)).await;
    let endpoint = ProviderEndpoint { name: name("blue"), host: "sms.example.org".to_owned(), port: 8443 };
    fixture.store.save_provider_endpoints(vec![endpoint]).await.unwrap();
    fixture.store.apply_changes(1).await.unwrap();
    let other_program = fixture.foreign_connection();
    let mut statement = other_program.prepare("SELECT * FROM notifications ORDER BY id").unwrap();
    let columns = ["id", "mobile", "server", "port", "status", "synced", "type", "created_at", "body"];
    assert!(statement.column_names().eq(columns));
    let rows: Vec<(String, String, i64, i64, i64, i64, String)> = statement
        .query_map([], |row| {
            Ok((row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let mobile = || "as written +989121111111".to_owned();
    let created_at = || "2023-11-14 22:00:00".to_owned();
    let one = (mobile(), "sms.example.org".to_owned(), 8443, 1, 1, 1, created_at());
    let two = (mobile(), String::new(), 0, 0, 0, 1, created_at());
    assert_eq!(rows, [one, two]);
}

#[tokio::test]
async fn commits_are_counted() {
    let fixture = TestStore::new();
    accepted(&fixture.store, sms(1)).await;
    let stats = fixture.store.commit_stats().unwrap();
    assert_eq!((stats.commits(), stats.operations()), (1, 1));
}

#[test]
fn urls_without_a_file_are_usage_errors() {
    for url in
        ["mysql://db/postrider", "mysql:x", "sqlite:", "sqlite::memory:", "sqlite:/no/such/folder/p.db"]
    {
        let Err(error) = crate::open(url, Duration::from_secs(1)) else {
            panic!("{url} opened");
        };
        assert_eq!(error.kind(), ErrorKind::Usage, "{url}: {error}");
    }
}

#[tokio::test]
async fn expired_throttles_are_deleted() {
    let fixture = TestStore::new();
    let mut message = sms(1);
    message.throttles = vec![hourly(1, 300)];
    accepted(&fixture.store, message).await;
    let throttles = || {
        let count = "SELECT count(*) FROM user_throttles";
        let other_program = fixture.foreign_connection();
        other_program.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    fixture.store.delete_expired(at(0), at(7199), 10).await.unwrap();
    assert_eq!(throttles(), 1);
    fixture.store.delete_expired(at(0), at(7200), 10).await.unwrap();
    assert_eq!(throttles(), 0);
}
