//! Decoders of single fields for serde: `null` is unset, whole numbers may be written as `80.0`,
//! and fields that are not used may have any value.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{
    Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};

use super::field::Value;

/// The prefix of Seaway's own annotations.
pub(super) const OURS: &str = "seaway.dev/";
/// The labels and annotations of Kubernetes that are used.
const USED: &[&str] = &[
    "endpoints.kubernetes.io/last-change-trigger-time",
    "kubernetes.io/service-name",
    "service.kubernetes.io/headless",
    "service.kubernetes.io/service-proxy-name",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

/// Decodes a value; `null` gives the default.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Decodes a list; an item that is `null` is an item with nothing set.
pub(super) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    from: D,
) -> Result<Option<Vec<T>>, D::Error> {
    /// An item of a list; `null` gives the default.
    struct Item<T>(T);
    impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Item<T> {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            or_default(from).map(Item)
        }
    }
    /// The visitor that decodes a list.
    struct Items<T>(std::marker::PhantomData<T>);
    impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Items<T> {
        type Value = Option<Vec<T>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
            // What an input says of its length is not believed far.
            let mut items = Vec::with_capacity(from.size_hint().unwrap_or(0).min(64));
            while let Some(Item(item)) = from.next_element()? {
                items.push(item);
            }
            Ok(Some(items))
        }
    }
    from.deserialize_any(Items(std::marker::PhantomData))
}

/// Decodes a whole number; unset is zero.
pub(super) fn number<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
    Ok(integer(from)?.unwrap_or_default())
}

/// Decodes a whole number that may be unset.
pub(super) fn integer<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i32>, D::Error> {
    /// The visitor that decodes a whole number, which may be unset.
    struct Integer;
    impl Visitor<'_> for Integer {
        type Value = Option<i32>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number without quotes")
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
            let whole = i32::try_from(number);
            whole.map_or_else(
                |_| Err(E::invalid_value(Unexpected::Signed(number), &self)),
                |n| Ok(Some(n)),
            )
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
            let whole = i32::try_from(number);
            whole.map_or_else(
                |_| Err(E::invalid_value(Unexpected::Unsigned(number), &self)),
                |n| Ok(Some(n)),
            )
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
            // Of all numbers that fit, those without a fraction are the same after the way there
            // and back.
            #[expect(
                clippy::cast_possible_truncation,
                reason = "what does not fit is compared and refused"
            )]
            let whole = number as i32;
            if f64::from(whole) == number {
                Ok(Some(whole))
            } else {
                Err(E::invalid_value(Unexpected::Float(number), &self))
            }
        }
    }
    from.deserialize_any(Integer)
}

/// Decodes whether there is a value, of whatever type.
pub(super) fn is_there<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(Option::<IgnoredAny>::deserialize(from)?.is_some())
}

/// Decodes a text on which nothing depends: any value of another type is as good as none.
pub(super) fn text_or_nothing<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<String>, D::Error> {
    Ok(Option::<Text>::deserialize(from)?.and_then(|text| text.0))
}

/// Decodes a whole number on which nothing depends: any other value is as good as none.
pub(super) fn number_or_nothing<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<i64>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Number(number) => Some(number),
        _ => None,
    })
}

/// Decodes labels or annotations. Those that are not used may have any value, and are kept where it
/// is a text.
pub(super) fn used_texts<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    /// The visitor that decodes labels or annotations.
    struct Texts;
    impl<'de> Visitor<'de> for Texts {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("fields with texts")
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(BTreeMap::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
            let mut texts = BTreeMap::new();
            while let Some(key) = from.next_key::<String>()? {
                if key.starts_with(OURS) || USED.contains(&key.as_str()) {
                    let text: Option<String> = from.next_value()?;
                    texts.insert(key, text.unwrap_or_default());
                } else if let Some(Text(Some(text))) = from.next_value()? {
                    texts.insert(key, text);
                }
            }
            Ok(texts)
        }
    }
    from.deserialize_any(Texts)
}

/// A text; a value of any other type is decoded as `None`.
#[derive(Debug)]
pub(super) struct Text(pub(super) Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        /// The visitor that accepts a value of any type.
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Text;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
                Ok(Text(Some(text.to_owned())))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Text, E> {
                Ok(Text(Some(text)))
            }

            fn visit_unit<E: Error>(self) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Text, E> {
                Ok(Text(None))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Text, A::Error> {
                while from.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Text, A::Error> {
                while from.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Text(None))
            }
        }
        from.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::Object;
    use crate::read::{self, EndpointSlice, Node, Service};

    fn service(value: Value) -> Result<crate::model::Service, serde_json::Error> {
        let service: Service = serde_json::from_value(value)?;
        match read::service(&service) {
            Ok(Object::Service(service)) => Ok(service.as_ref().clone()),
            other => panic!("{other:?}"),
        }
    }

    fn port(number: Value) -> Option<u16> {
        let value = json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": number}]}});
        let service = service(value).ok()?;
        service.ports.first().map(|port| port.number.get())
    }

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        assert_eq!(port(json!(80)), Some(80));
        assert_eq!(port(json!(80.0)), Some(80));
        for wrong in [
            json!("80"),
            json!(80.5),
            json!(true),
            json!(4_294_967_376_i64),
            json!(-4_294_967_216_i64),
            json!(1e300),
            json!([80]),
        ] {
            assert_eq!(port(wrong.clone()), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_not_used_may_be_anything() {
        let plain = service(json!({"metadata": {"name": "a"}})).unwrap();
        for anything in [
            json!(null),
            json!(5),
            json!("x"),
            json!([{}]),
            json!({"a": [1]}),
            json!(true),
        ] {
            let value = json!({
                "metadata": {
                    "name": "a", "uid": anything, "managedFields": anything, "ownerReferences": anything,
                    "deletionTimestamp": anything, "labels": {"x": anything}, "annotations": {"x": anything},
                },
                "spec": {"selector": anything, "publishNotReadyAddresses": anything},
                "status": {"conditions": anything},
                "extra": anything,
            });
            assert_eq!(service(value).unwrap(), plain, "{anything}");
            let slice = json!({
                "metadata": {"name": "a", "generation": anything}, "addressType": "IPv4",
                "endpoints": [{"addresses": ["10.0.0.1"], "targetRef": anything, "deprecatedTopology": anything}],
            });
            assert!(serde_json::from_value::<EndpointSlice>(slice).is_ok());
            let node = json!({"metadata": {"name": "a"}, "status": {"images": anything, "conditions": anything}});
            assert!(serde_json::from_value::<Node>(node).is_ok());
        }
    }

    #[test]
    fn null_is_unset_wherever_it_is() {
        let value = json!({"metadata": {"name": "a", "labels": {"kubernetes.io/service-name": null}}, "spec": {"clusterIPs": [null], "ports": [null]}});
        assert!(service(value).is_ok());
        let slice = json!({"metadata": null, "addressType": null, "ports": [{"name": null}], "endpoints": [{"addresses": null, "hints": {"forZones": [null]}}]});
        assert!(serde_json::from_value::<EndpointSlice>(slice).is_ok());
    }

    #[test]
    fn what_is_used_has_its_type() {
        for metadata in [
            json!({"name": "a", "labels": {"service.kubernetes.io/service-proxy-name": 5}}),
            json!({"name": "a", "annotations": {"seaway.dev/connect-timeout": 5}}),
            json!({"name": 5}),
            json!({"name": "a", "labels": []}),
        ] {
            assert!(
                service(json!({"metadata": metadata})).is_err(),
                "{metadata}"
            );
        }
    }

    #[test]
    fn a_time_that_is_none_is_said_and_counts_as_unset() {
        let read = |time: Value| {
            let metadata = json!({"name": "a", "creationTimestamp": time});
            service(json!({"metadata": metadata, "spec": {"clusterIP": "None"}})).unwrap()
        };
        assert_eq!(read(json!("1970-01-01T00:00:07Z")).created, 7);
        assert_eq!(
            (read(json!(null)).created, read(json!(null)).problems.len()),
            (i64::MAX, 0)
        );
        for wrong in [json!("yesterday"), json!(5), json!({})] {
            let service = read(wrong.clone());
            assert_eq!(service.created, i64::MAX, "{wrong}");
            let fields: Vec<_> = service.problems.iter().map(|p| p.field.as_str()).collect();
            assert_eq!(fields, ["metadata.creationTimestamp"], "{wrong}");
        }
    }
}
