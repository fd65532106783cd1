//! How a batch's rows reach the database: at once, or all of them with the checkpoint in one statement.
//!
//! PostgreSQL takes any number of inserts as parts of one statement, which is a transaction of its own and one round trip
//! instead of one for each table. What a projection reads before, it reads outside of any transaction: whoever else writes
//! moves the checkpoint, and then nothing of the statement is written.

use sqlx::{AnyConnection, Row};

use crate::checkpoint::{self, Advance};
use crate::rows::{Cell, Insert, Target};
use crate::store::sql;

/// Where a projection's rows go.
#[derive(Debug)]
pub struct Writing<'c> {
    connection: &'c mut AnyConnection,
    /// What is to be written at the end; `None` if everything is at once.
    inserts: Option<Vec<Insert>>,
}

impl<'c> Writing<'c> {
    /// Writes at once, in the transaction that `connection` is in.
    pub(crate) const fn now(connection: &'c mut AnyConnection) -> Self {
        Self { connection, inserts: None }
    }

    /// Gathers what is written, on PostgreSQL, outside of a transaction.
    pub(crate) const fn together(connection: &'c mut AnyConnection) -> Self {
        Self { connection, inserts: Some(Vec::new()) }
    }

    /// For what is read.
    pub(crate) const fn connection(&mut self) -> &mut AnyConnection {
        self.connection
    }

    /// Writes `rows`, no two of one key, to `target`.
    pub(crate) async fn write<const N: usize>(
        &mut self,
        target: Target<'_, N>,
        rows: Vec<[Cell; N]>,
    ) -> Result<(), sqlx::Error> {
        match &mut self.inserts {
            Some(inserts) => inserts.extend(target.columns_of(&rows)),
            None => target.write(self.connection, rows).await?,
        }
        Ok(())
    }

    /// Writes what was gathered, and moves the checkpoints of `versions`; or neither, and false, if not all of them can be
    /// moved as [`checkpoint::advance`] does.
    pub(crate) async fn advance(
        self,
        versions: &[(&'static str, i64)],
        step: Advance,
    ) -> Result<bool, sqlx::Error> {
        let inserts = self.inserts.unwrap_or_default();
        let (moved, mut next) = checkpoint::advancing(versions.len());
        let count = versions.len();
        let mut text = format!(
            "with moved as ({moved} returning 1), enough as (select count(*) = {count} as so from moved)"
        );
        for (number, insert) in inserts.iter().enumerate() {
            let rows = format!("select new.* from enough, {} as new where enough.so", insert.unnest(next));
            text.push_str(&format!(", written_{number} as ({})", insert.statement(&rows)));
            next += insert.arrays.len();
        }
        // Where only some were moved, the statement fails, so that they are not.
        text.push_str(&format!(
            " select case when count(*) in (0, {count}) then count(*) else 1 / (count(*) - count(*)) end from moved"
        ));
        let query = checkpoint::bound(sqlx::query(sql(text)), versions, step);
        let query = inserts
            .into_iter()
            .flat_map(|insert| insert.arrays)
            .fold(query, |query, array| query.bind(array));
        match query.fetch_one(self.connection).await {
            Ok(row) => Ok(row.try_get::<i64, _>(0)? > 0),
            Err(error) if is_division(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// SQLSTATE's division by zero.
fn is_division(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "22012")
}
