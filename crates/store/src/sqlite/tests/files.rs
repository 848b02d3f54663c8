//! The database file: migrations, backups, the view for operators, and store URLs.

use std::{sync::Arc, time::Duration};

use rusqlite::Connection;

use super::TestStore;
use crate::sqlite::private_database_file::is_readable_for_others;
use crate::sqlite::{SqliteStore, migrate};
use crate::testing::fixtures::{accepted, at, claim_and_send, commit_counts, hourly, id, name, sms};
use crate::{AcceptStore, CoordinationStore, MaintenanceStore, ProviderEndpoint, ReadStore, ReportStore};
use postrider_core::error::ErrorKind;

#[test]
fn stores_that_start_together_migrate_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("postrider.db");
    let threads: Vec<_> = (0..6)
        .map(|_| {
            let file = file.clone();
            std::thread::spawn(move || migrate(&file, Duration::from_secs(30)).unwrap())
        })
        .collect();
    let applied_names: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
    assert_eq!(applied_names.first().map(String::as_str), Some("0001_schema"));
    assert!(applied_names.is_sorted_by(|name, next_name| name < next_name), "each once: {applied_names:?}");
}

#[cfg(unix)]
fn file_mode(file: &std::path::Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(file).unwrap().permissions()) & 0o777
}

/// The mode does not depend on the umask of the process, which is 022 on most systems.
#[cfg(unix)]
#[tokio::test]
async fn the_database_its_log_and_its_backup_are_private_to_the_owner() {
    let fixture = TestStore::new();
    accepted(&fixture.store, sms(1)).await;
    let backup_file = fixture.folder.path().join("copy.db");
    fixture.store.backup(backup_file.clone(), Box::new(|_, _| {})).await.unwrap();
    let with_suffix =
        |suffix: &str| std::path::PathBuf::from(format!("{}{suffix}", fixture.file().display()));
    for file in [fixture.file(), with_suffix("-wal"), with_suffix("-shm"), backup_file] {
        assert_eq!(format!("{:o}", file_mode(&file)), "600", "{}", file.display());
    }
}

#[cfg(unix)]
#[test]
fn a_database_that_others_can_read_is_recognised() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = TestStore::new();
    for (mode, is_readable) in [(0o600, false), (0o640, true), (0o604, true), (0o622, true), (0o611, false)] {
        std::fs::set_permissions(fixture.file(), std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(is_readable_for_others(&fixture.file()), is_readable, "{mode:o}");
    }
}

#[test]
fn a_newer_database_is_refused() {
    let fixture = TestStore::new();
    let insert_newer = "INSERT INTO migrations (number, name) VALUES (9999, 'later')";
    fixture.foreign_connection().execute_batch(insert_newer).unwrap();
    let Err(error) = SqliteStore::open(&fixture.file(), Duration::from_secs(1)) else {
        panic!("opened");
    };
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("newer version"), "{error}");
}

#[test]
fn files_of_other_programs_are_refused_and_not_changed() {
    let folder = tempfile::tempdir().unwrap();
    let foreign_database = folder.path().join("foreign.db");
    let connection = Connection::open(&foreign_database).unwrap();
    connection.execute_batch("CREATE TABLE photos (name TEXT)").unwrap();
    let text_file = folder.path().join("text_file.txt");
    std::fs::write(&text_file, "Dear reader, ".repeat(500)).unwrap();
    for file in [&foreign_database, &text_file] {
        let Err(error) = SqliteStore::open(file, Duration::from_secs(1)) else {
            panic!("opened");
        };
        assert_eq!(error.kind(), ErrorKind::Usage, "{}", error.chain());
    }
    assert!(std::fs::read(&text_file).unwrap().starts_with(b"Dear reader, Dear"));
    let count_tables = "SELECT count(*) FROM sqlite_schema";
    let table_count = connection.query_row(count_tables, [], |row| row.get::<_, i64>(0));
    assert_eq!(table_count.unwrap(), 1);
}

#[tokio::test]
async fn a_backup_of_a_busy_store_is_complete() {
    let fixture = TestStore::new();
    for batch in 0..20 {
        fixture.store.accept((0..100).map(|number| sms(batch * 100 + number)).collect()).await.unwrap();
    }
    let backup_file = fixture.folder.path().join("copy.db");
    let progress_steps = Arc::new(std::sync::Mutex::new(Vec::new()));
    let recorded_steps = Arc::clone(&progress_steps);
    let progress = Box::new(move |done, total| recorded_steps.lock().unwrap().push((done, total)));
    let writes = async {
        for number in 5_000..5_200 {
            accepted(&fixture.store, sms(number)).await;
        }
    };
    let (backup_result, ()) = tokio::join!(fixture.store.backup(backup_file.clone(), progress), writes);
    backup_result.unwrap();
    let (done, total) = *progress_steps.lock().unwrap().last().unwrap();
    assert!(done == total && total > 0);
    let backup = SqliteStore::open(&backup_file, Duration::from_secs(30)).unwrap();
    assert!(backup.find_message(id(1_999)).await.unwrap().is_some());
    assert_eq!(backup.store_secret().await.unwrap(), fixture.store.store_secret().await.unwrap());
    let backup_to_itself = fixture.store.backup(fixture.file(), Box::new(|_, _| {})).await;
    assert_eq!(backup_to_itself.unwrap_err().kind(), ErrorKind::Usage);
}

#[tokio::test]
async fn the_view_has_the_columns_of_the_replaced_gateway() {
    let fixture = TestStore::new();
    let first_id = accepted(&fixture.store, sms(1)).await;
    accepted(&fixture.store, sms(2)).await;
    claim_and_send(&fixture.store, first_id, "blue", "b-1", at(1)).await;
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
    let sent_row = (mobile(), "sms.example.org".to_owned(), 8443, 1, 1, 1, created_at());
    let waiting_row = (mobile(), String::new(), 0, 0, 0, 1, created_at());
    assert_eq!(rows, [sent_row, waiting_row]);
}

#[tokio::test]
async fn commits_are_counted() {
    let fixture = TestStore::new();
    accepted(&fixture.store, sms(1)).await;
    assert_eq!(commit_counts(&fixture.store), (1, 1));
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
    let count_throttles = || {
        let sql = "SELECT count(*) FROM user_throttles";
        let other_program = fixture.foreign_connection();
        other_program.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    fixture.store.delete_expired(at(0), at(7199), 10).await.unwrap();
    assert_eq!(count_throttles(), 1);
    fixture.store.delete_expired(at(0), at(7200), 10).await.unwrap();
    assert_eq!(count_throttles(), 0);
}
