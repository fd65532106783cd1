//! What becomes of an event that the bus cannot carry: it goes out without its data, so that neither the relay nor its
//! readers stop at it. Whoever needs the data reads it from the journal, at the position that the message tells.

use dcm_journal::bus::{DATA_OMITTED_HEADER, Message};

/// Stands for data that was left out.
const NO_DATA: &[u8] = b"null";

/// The message as it can be published where a message has at most `largest` bytes.
pub(crate) fn fitted(mut message: Message, largest: usize) -> Message {
    if message.size() <= largest {
        return message;
    }
    let bytes = message.payload.len();
    tracing::warn!(subject = message.subject, id = %message.id, bytes, largest, "published without its data");
    metrics::counter!("dcm_relay_data_omitted_total").increment(1);
    message.headers.push((DATA_OMITTED_HEADER.to_owned(), bytes.to_string()));
    Message { payload: NO_DATA.into(), ..message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_too_large_loses_its_data() {
        let message = Message {
            subject: "dcm.v1.event.subcloud.r1.subcloud-added".to_owned(),
            id: uuid::Uuid::nil(),
            headers: vec![("ce-type".to_owned(), "a".to_owned())],
            payload: vec![b'1'; 2000].into(),
        };
        let size = message.size();
        assert_eq!(fitted(message.clone(), size), message);
        let without = fitted(message, size - 1);
        assert_eq!((without.header(DATA_OMITTED_HEADER), &*without.payload), (Some("2000"), NO_DATA));
    }
}
