//! The way to the server: a pool of connections, and one transaction at a time on one of them.
//!
//! Leaves nothing behind in a session (no named statements, no settings, no session locks), so that a pooler that
//! gives every transaction another connection may stand between. A transaction that is dropped half way takes its
//! connection with it.

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{Object, Pool};
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use super::address::{self, Use};
use super::door::Door;
use super::fault::Trouble;
use crate::error::{Error, Kind, Result};

static BEGIN_WRITE: &str = include_str!("../../../sql/postgres/begin_write.sql");
static BEGIN_READ: &str = include_str!("../../../sql/postgres/begin_read.sql");

/// How long the server may take to begin a transaction before it counts as gone.
const BEGIN_LIMIT: Duration = Duration::from_secs(4);

/// How long a connection may take to become free.
const WAIT_LIMIT: Duration = Duration::from_secs(10);

/// Values with their types, for one statement: `bind![id, name]`.
macro_rules! bind {
    ($($value:expr),* $(,)?) => {
        &[$($crate::store::postgres::link::Bind::bind(&$value)),*]
    };
}

pub(super) use bind;

/// A value whose type the server need not be asked for.
pub trait Bind: ToSql + Sync + Sized {
    /// Its type there.
    const TYPE: Type;

    /// The value with its type.
    fn bind(&self) -> Bound<'_> {
        (self, Self::TYPE)
    }
}

/// A value with its type.
pub type Bound<'a> = (&'a (dyn ToSql + Sync), Type);

macro_rules! types {
    ($($value:ty => $name:ident;)*) => {
        $(impl Bind for $value {
            const TYPE: Type = Type::$name;
        })*
    };
}

type Text<'a> = std::borrow::Cow<'a, str>;

types! {
    i64 => INT8;
    Option<i64> => INT8;
    &str => TEXT;
    Option<&str> => TEXT;
    Text<'_> => TEXT;
    Option<Text<'_>> => TEXT;
    Vec<u8> => BYTEA;
    Vec<i64> => INT8_ARRAY;
    Vec<Option<i64>> => INT8_ARRAY;
    Vec<&str> => TEXT_ARRAY;
    Vec<String> => TEXT_ARRAY;
    Vec<Text<'_>> => TEXT_ARRAY;
    Vec<Option<&str>> => TEXT_ARRAY;
    Vec<Option<String>> => TEXT_ARRAY;
    Vec<Option<Text<'_>>> => TEXT_ARRAY;
    Vec<Vec<u8>> => BYTEA_ARRAY;
}

/// A pool of connections to one database.
#[derive(Clone)]
pub struct Link {
    pool: Pool<Door>,
}

impl Link {
    /// Reads the URL; opens so many connections at most, when they are needed. Connects to nothing yet.
    pub fn new(url: &str, purpose: Use, connections: usize) -> Result<Self> {
        let door = Door::new(address::read(url, purpose)?);
        let pool = Pool::builder(door)
            .max_size(connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT_LIMIT))
            .build()
            .map_err(|error| Error::because(Kind::Internal, "cannot make a pool of connections", error))?;
        Ok(Self { pool })
    }

    /// Whether another server may take the place of the one that is written to.
    pub fn has_several_hosts(&self) -> bool {
        self.pool.manager().hosts() > 1
    }

    /// Begins a transaction that may write, and whose commit is on disk when it is answered.
    pub async fn write(&self) -> Result<Desk, Trouble> {
        let (desk, _) = self.begin(None, BEGIN_WRITE).await?;
        Ok(desk)
    }

    /// Begins a transaction that reads one moment's truth.
    pub async fn read(&self) -> Result<Desk, Trouble> {
        let (desk, _) = self.begin(None, BEGIN_READ).await?;
        Ok(desk)
    }

    /// Asks for one row, then begins a transaction that reads a later moment's truth from the same server.
    pub async fn ask_then_read(&self, sql: &str) -> Result<(Row, Desk), Trouble> {
        let (desk, row) = self.begin(Some(sql), BEGIN_READ).await?;
        let row = row.ok_or_else(|| Trouble::Row("a row is missing".to_owned()))?;
        Ok((row, desk))
    }

    /// Connections that broke unnoticed, as all of them do when the server starts again, and those to a server that
    /// is not the one to write to any more, are thrown away; only a new one can fail. A server that says nothing
    /// takes all its connections with it, so that they are not tried one by one.
    async fn begin(&self, question: Option<&str>, words: &str) -> Result<(Desk, Option<Row>), Trouble> {
        loop {
            let client = self.pool.get().await?;
            let is_new = Object::metrics(&client).recycle_count == 0;
            let desk = Desk { client: Some(client) };
            match timeout(BEGIN_LIMIT, desk.begin(question, words)).await {
                Ok(Ok(row)) => return Ok((desk, row)),
                Ok(Err(trouble)) if !is_new && trouble.is_of_the_connection() => {}
                Ok(Err(trouble)) => return Err(trouble),
                Err(_) => self.forget_idle(),
            }
            if is_new {
                return Err(Trouble::Silent);
            }
        }
    }

    /// Throws away the connections that nobody uses: the server does not answer on others.
    pub fn forget_idle(&self) {
        drop(self.pool.retain(|_, _| false));
    }
}

/// One transaction. Whatever is not committed has not happened.
pub struct Desk {
    client: Option<Object<Door>>,
}

impl Desk {
    fn client(&self) -> Result<&Object<Door>, Trouble> {
        self.client
            .as_ref()
            .ok_or_else(|| Trouble::Row("the transaction is over".to_owned()))
    }

    async fn begin(&self, question: Option<&str>, words: &str) -> Result<Option<Row>, Trouble> {
        let row = match question {
            None => None,
            Some(sql) => self.row(sql, &[]).await?,
        };
        self.client()?.batch_execute(words).await?;
        Ok(row)
    }

    /// The rows of a statement.
    pub async fn rows(&self, sql: &str, values: &[Bound<'_>]) -> Result<Vec<Row>, Trouble> {
        Ok(self.client()?.query_typed(sql, values).await?)
    }

    /// The first row of a statement, if there is one.
    pub async fn row(&self, sql: &str, values: &[Bound<'_>]) -> Result<Option<Row>, Trouble> {
        Ok(self.rows(sql, values).await?.into_iter().next())
    }

    /// The only row of a statement.
    pub async fn one(&self, sql: &str, values: &[Bound<'_>]) -> Result<Row, Trouble> {
        let row = self.row(sql, values).await?;
        row.ok_or_else(|| Trouble::Row("a row is missing".to_owned()))
    }

    /// Runs a statement that changes rows; how many.
    pub async fn run(&self, sql: &str, values: &[Bound<'_>]) -> Result<u64, Trouble> {
        Ok(self.client()?.execute_typed(sql, values).await?)
    }

    /// Runs several statements without values.
    pub async fn script(&self, sql: &str) -> Result<(), Trouble> {
        Ok(self.client()?.batch_execute(sql).await?)
    }

    /// Commits what succeeded, undoes what did not, and gives the connection back.
    pub async fn end<T>(mut self, outcome: Result<T, Trouble>) -> Result<T, Trouble> {
        let words = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let ended = self.client()?.batch_execute(words).await;
        match (outcome, ended) {
            (outcome, Ok(())) => {
                drop(self.client.take());
                outcome
            }
            (Ok(_), Err(error)) => Err(error.into()),
            (Err(trouble), Err(_)) => Err(trouble),
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}
