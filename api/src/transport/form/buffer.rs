//! Bytes that may be secret.

use std::fmt;

use zeroize::Zeroizing;

/// Bytes of a request that are wiped when dropped, also the pieces left behind by growing. Prints as `***`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Appends `more`. A full buffer moves to one of at least twice the size, and the old one is wiped.
    pub fn extend(&mut self, more: &[u8]) {
        let needed = self.0.len() + more.len();
        if needed > self.0.capacity() {
            let mut grown = Vec::with_capacity(needed.max(self.0.capacity() * 2));
            grown.extend_from_slice(&self.0);
            self.0 = Zeroizing::new(grown);
        }
        self.0.extend_from_slice(more);
    }

    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::SecretBytes;

    #[test]
    fn grows_and_never_prints() {
        let mut bytes = SecretBytes::default();
        for _ in 0..100 {
            bytes.extend(b"secret");
        }
        assert_eq!((bytes.len(), bytes.as_slice().ends_with(b"secret")), (600, true));
        assert_eq!(format!("{bytes:?}"), "***");
    }
}
