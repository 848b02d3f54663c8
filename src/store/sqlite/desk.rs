//! What a piece of work writes with: the writing connection, its prepared statements, and what is known for
//! the length of one transaction.
//!
//! Statements are found by the address of their text: hashing the text, as rusqlite's own cache does, would
//! cost more than running the shorter ones. Never leaves the writer's thread.

use rusqlite::{Connection, Statement};

use crate::store::tally::HOUR_MS;

static BEGIN: &str = "BEGIN IMMEDIATE";
static COMMIT: &str = "COMMIT";
static NUMBER: &str = include_str!("../../../sql/sqlite/accept_number.sql");
static HOUR: &str = include_str!("../../../sql/sqlite/accept_hour.sql");
static ANYONE: &str = include_str!("../../../sql/sqlite/accept_anyone.sql");
static FOLDED: &str = include_str!("../../../sql/sqlite/fold_mark.sql");

/// The one place from which rows are written.
pub struct Desk<'c> {
    connection: &'c Connection,
    statements: Vec<(&'static str, Statement<'c>)>,
    known: Known,
}

/// Read once in a transaction, true until its end.
#[derive(Default)]
struct Known {
    number_next: Option<i64>,
    folded: Option<i64>,
    recipients: Option<bool>,
    hours: Vec<Hour>,
}

/// Which messages this transaction has accepted in an hour.
struct Hour {
    hour: i64,
    first_number: i64,
    last_number: i64,
}

impl<'c> Desk<'c> {
    /// A desk with nothing prepared yet.
    pub fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            statements: Vec::new(),
            known: Known::default(),
        }
    }

    /// A statement, prepared at its first use. The text must be a `static`, so that its address names it.
    pub fn statement(&mut self, sql: &'static str) -> rusqlite::Result<&mut Statement<'c>> {
        let found = self
            .statements
            .iter()
            .position(|(text, _)| std::ptr::eq(*text, sql));
        let index = if let Some(index) = found {
            index
        } else {
            self.statements.push((sql, self.connection.prepare(sql)?));
            self.statements.len() - 1
        };
        Ok(&mut self.statements[index].1)
    }

    /// Takes the write lock, waiting for other processes as long as the busy time-out allows.
    pub fn begin(&mut self) -> rusqlite::Result<()> {
        self.known = Known::default();
        self.statement(BEGIN)?.execute([]).map(drop)
    }

    /// Makes everything since `begin` durable.
    pub fn commit(&mut self) -> rusqlite::Result<()> {
        for hour in std::mem::take(&mut self.known.hours) {
            self.statement(HOUR)?
                .execute([hour.hour, hour.first_number, hour.last_number])?;
        }
        self.statement(COMMIT)?.execute([]).map(drop)
    }

    /// Undoes everything since `begin`. SQLite has done so itself after some failures.
    pub fn roll_back(&mut self) -> rusqlite::Result<()> {
        if self.connection.is_autocommit() {
            return Ok(());
        }
        self.connection.execute_batch("ROLLBACK")
    }

    /// The running number for one more message, accepted at that time.
    pub fn number(&mut self, created_at_ms: i64) -> rusqlite::Result<i64> {
        let number = match self.known.number_next {
            Some(number) => number,
            None => self.statement(NUMBER)?.query_row([], |row| row.get(0))?,
        };
        self.known.number_next = Some(number + 1);
        let hour = created_at_ms.div_euclid(HOUR_MS);
        match self.known.hours.iter_mut().find(|known| known.hour == hour) {
            Some(known) => known.last_number = number,
            None => self.known.hours.push(Hour {
                hour,
                first_number: number,
                last_number: number,
            }),
        }
        Ok(number)
    }

    /// Whether anything was ever said of any recipient: while nothing was, nobody needs to be looked up.
    pub fn knows_recipients(&mut self) -> rusqlite::Result<bool> {
        if let Some(recipients) = self.known.recipients {
            return Ok(recipients);
        }
        let recipients = self.statement(ANYONE)?.query_row([], |row| row.get(0))?;
        self.known.recipients = Some(recipients);
        Ok(recipients)
    }

    /// Says that this transaction has said something of a recipient.
    pub fn set_knows_recipients(&mut self) {
        self.known.recipients = Some(true);
    }

    /// Up to which delivery the report has counted.
    pub fn folded(&mut self) -> rusqlite::Result<i64> {
        if let Some(folded) = self.known.folded {
            return Ok(folded);
        }
        let folded = self.statement(FOLDED)?.query_row([], |row| row.get(0))?;
        self.known.folded = Some(folded);
        Ok(folded)
    }

    /// Says that the report's mark has moved in this transaction.
    pub fn set_folded(&mut self, folded: i64) {
        self.known.folded = Some(folded);
    }
}
