//! [`Value`]: a part of an object as it is written, of whatever types. The objects of which a part
//! may be wrong while the rest counts are decoded as these, and read by [`Field`](super::Field).

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

/// No object of Kubernetes that is read has a field so deep.
const DEPTH: u8 = 24;

/// A value of any type. `null` is unset, as everywhere in Kubernetes.
#[derive(Debug, Default)]
pub(in super::super) enum Value {
    /// Nothing.
    #[default]
    Unset,
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A number that is none of those.
    OtherNumber,
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// An object with fields.
    Fields(BTreeMap<String, Value>),
    /// Something inside too many lists and objects, of which nothing is kept.
    TooDeep,
}

impl Value {
    /// The type, in words for a problem.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Value::Unset => "nothing",
            Value::Flag(_) => "true or false",
            Value::Number(_) => "a number",
            Value::OtherNumber => "a number that is too large or not a whole one",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Fields(_) => "an object with fields",
            Value::TooDeep => "nested too deeply",
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Value, D::Error> {
        Level(0).deserialize(from)
    }
}

/// Decodes a value inside so many lists and objects.
#[derive(Clone, Copy)]
struct Level(u8);

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Unset)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Unset)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        self.deserialize(from)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Flag(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or(Value::OtherNumber, Value::Number))
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<Value, E> {
        Ok(Value::OtherNumber)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Value, E> {
        Ok(Value::OtherNumber)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        // As in `decode`: a number without a fraction is whole, however it is written.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what does not fit is compared and refused"
        )]
        let whole = number as i32;
        if f64::from(whole) == number {
            Ok(Value::Number(whole.into()))
        } else {
            Ok(Value::OtherNumber)
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        if self.0 >= DEPTH {
            while from.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Value::TooDeep);
        }
        let mut items = Vec::new();
        while let Some(item) = from.next_element_seed(Level(self.0 + 1))? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        if self.0 >= DEPTH {
            while from.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Value::TooDeep);
        }
        let mut fields = BTreeMap::new();
        while let Some(key) = from.next_key::<String>()? {
            fields.insert(key, from.next_value_seed(Level(self.0 + 1))?);
        }
        Ok(Value::Fields(fields))
    }
}
