//! The tables of a read model: one set per version, side by side.

use std::borrow::Cow;

/// A table of a read model, whatever its version.
#[derive(Clone, Debug)]
pub struct Table {
    name: &'static str,
    key: &'static [&'static str],
    columns: Cow<'static, str>,
    indices: Vec<(&'static str, &'static str)>,
    has_room: bool,
}

impl Table {
    /// The table `name`, whose rows are told apart by the columns `key`. `columns` are the definitions of all columns,
    /// of the types `text` and `bigint` alone, which SQLite and PostgreSQL hold alike.
    pub fn new(
        name: &'static str,
        key: &'static [&'static str],
        columns: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { name, key, columns: columns.into(), indices: Vec::new(), has_room: false }
    }

    /// The same with an index of `columns`, told from the others by `suffix`.
    #[must_use]
    pub fn index(mut self, suffix: &'static str, columns: &'static str) -> Self {
        self.indices.push((suffix, columns));
        self
    }

    /// The same with room left on PostgreSQL's pages for rows that change again and again in columns that no index has: such a
    /// row then stays on its page, and no index is touched.
    #[must_use]
    pub const fn with_room(mut self) -> Self {
        self.has_room = true;
        self
    }

    /// Its name without a version.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The columns that tell its rows apart.
    pub const fn key(&self) -> &'static [&'static str] {
        self.key
    }

    /// The names of its columns.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.split(',').filter_map(|column| column.split_whitespace().next())
    }

    /// Its name in `version`.
    pub fn named(&self, version: i64) -> String {
        format!("{}_v{version}", self.name)
    }

    /// The statement that creates it, in an embedded file or on PostgreSQL, safe to repeat.
    pub(crate) fn create(&self, version: i64, embedded: bool) -> String {
        let (table, columns, key) = (self.named(version), &self.columns, self.key.join(", "));
        let room = if self.has_room && !embedded { " with (fillfactor = 50)" } else { "" };
        format!("create table if not exists {table} ({columns}, primary key ({key})){room}")
    }

    /// The statements that create its indices, safe to repeat.
    pub(crate) fn create_indices(&self, version: i64) -> Vec<String> {
        let table = self.named(version);
        let index =
            |(suffix, columns)| format!("create index if not exists {table}_{suffix} on {table} ({columns})");
        self.indices.iter().copied().map(index).collect()
    }
}
