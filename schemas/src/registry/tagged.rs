//! Name and data of an event as the one object that its type is read from, without copying them.

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Value};

/// Reads like `{"type": name, "data": data}`.
pub(super) struct Tagged<'a> {
    pub name: &'a str,
    pub data: &'a Value,
}

/// The field that comes next.
enum Next {
    Type,
    Data,
    None,
}

struct Fields<'a> {
    event: Tagged<'a>,
    next: Next,
}

impl<'de> Deserializer<'de> for Tagged<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(Fields { event: self, next: Next::Type })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let key = match self.next {
            Next::Type => "type",
            Next::Data => "data",
            Next::None => return Ok(None),
        };
        seed.deserialize(StrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        match self.next {
            Next::Type => {
                self.next = Next::Data;
                seed.deserialize(BorrowedStrDeserializer::new(self.event.name))
            }
            Next::Data | Next::None => {
                self.next = Next::None;
                seed.deserialize(self.event.data)
            }
        }
    }
}
