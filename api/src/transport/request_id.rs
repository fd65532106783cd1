//! Who this request is, in answers, logs and events.

use http::{HeaderMap, HeaderName};
use uuid::Uuid;

/// The response header of access.md §2.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");

/// `req-<uuid4>`, made anew for each request: an incoming id is ignored (access.md §2). A request extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    pub(super) fn generate() -> Self {
        Self(format!("req-{}", Uuid::new_v4()))
    }

    /// The text form, as in the response header.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A valid incoming W3C `traceparent`. A request extension, absent when the client sent none or a malformed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traceparent(String);

impl Traceparent {
    /// Reads `version-traceid-parentid-flags` (W3C Trace Context §3.2); `None` if it is anything else.
    ///
    /// Of a later version only the four known fields are kept, under version `00`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let (version, trace, parent, flags) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let well_formed = is_hex(version, 2) && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2);
        let zero = |field: &str| field.bytes().all(|b| b == b'0');
        if !well_formed || version == "ff" || zero(trace) || zero(parent) {
            return None;
        }
        if version == "00" && fields.next().is_some() {
            return None;
        }
        Some(Self(format!("00-{trace}-{parent}-{flags}")))
    }

    /// The text form, to be put into events and outgoing requests.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The context that the client sent.
    pub(super) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all("traceparent").iter();
        match (values.next(), values.next()) {
            (Some(value), None) => Self::parse(value.to_str().ok()?),
            _ => None,
        }
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn traceparent_as_the_w3c_says() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(Traceparent::parse(good).as_ref().map(Traceparent::as_str), Some(good));
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more";
        assert_eq!(Traceparent::parse(later).as_ref().map(Traceparent::as_str), Some(good));
        for bad in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Traceparent::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_traceparent_is_read_or_refused(text in ".{0,80}") {
            let _ = Traceparent::parse(&text);
        }
    }
}
