//! Which streams of the store are this journal's, and what they are called there.

use dcm_schemas::{StreamId, subjects};

/// Stream that holds the journal's id and format, and nothing else.
const HEADER: &str = "dcm-journal";

/// The streams of one journal.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// Stands before every stream's name.
    prefix: String,
    /// Position in the store before which nothing is this journal's; 0 if that is not known.
    pub origin: u64,
}

impl Scope {
    /// The journal of the store: its streams bear their plain names.
    pub(super) fn product() -> Self {
        Self { prefix: String::new(), origin: 0 }
    }

    /// A journal for trying things out. The product's filters do not match `prefix`.
    pub(super) fn scratch(prefix: String, origin: u64) -> Self {
        Self { prefix, origin }
    }

    /// Stream that says which journal this is. [`filter`](Self::filter) does not match it.
    pub(super) fn header(&self) -> String {
        format!("{}{HEADER}", self.prefix)
    }

    /// Name of a stream in the store; `None` if [`filter`](Self::filter) would not find it again.
    pub(super) fn physical(&self, stream: &StreamId) -> Option<String> {
        let known = subjects::STREAM_PREFIXES.iter().any(|prefix| stream.as_str().starts_with(prefix));
        known.then(|| format!("{}{stream}", self.prefix))
    }

    /// Prefixes of the names of all streams of this journal.
    pub(super) fn filter(&self) -> Vec<String> {
        subjects::STREAM_PREFIXES.iter().map(|prefix| format!("{}{prefix}", self.prefix)).collect()
    }

    /// Whether a stream of the store is one of this journal.
    pub(super) fn holds(&self, physical: &[u8]) -> bool {
        let rest = physical.strip_prefix(self.prefix.as_bytes());
        rest.is_some_and(|rest| {
            subjects::STREAM_PREFIXES.iter().any(|prefix| rest.starts_with(prefix.as_bytes()))
        })
    }

    /// Whether the name in the store is that of `stream`.
    pub(super) fn is(&self, physical: &[u8], stream: &StreamId) -> bool {
        physical.strip_prefix(self.prefix.as_bytes()) == Some(stream.as_str().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_scratch_journal_and_the_products_do_not_see_each_other() {
        let (product, scratch) = (Scope::product(), Scope::scratch("dcmscratch-1-".to_owned(), 0));
        let stream: StreamId = "directory-subcloud".parse().unwrap();
        let (plain, marked) = (product.physical(&stream).unwrap(), scratch.physical(&stream).unwrap());
        assert_eq!(
            (plain.as_str(), marked.as_str()),
            ("directory-subcloud", "dcmscratch-1-directory-subcloud")
        );
        assert!(product.holds(plain.as_bytes()) && product.is(plain.as_bytes(), &stream));
        assert!(scratch.holds(marked.as_bytes()) && scratch.is(marked.as_bytes(), &stream));
        assert!(!product.holds(marked.as_bytes()) && !scratch.holds(plain.as_bytes()));
        for name in [product.header(), scratch.header()] {
            assert!(!product.holds(name.as_bytes()) && !scratch.holds(name.as_bytes()), "{name}");
        }
        assert_eq!(product.physical(&"dcm-journal".parse().unwrap()), None);
    }
}
