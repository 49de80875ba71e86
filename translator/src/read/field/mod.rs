//! [`Field`]: a place in an object, with the value that is there. What is read of it has the type
//! that is asked for, or is [`Wrong`], and then the problem is reported already.

mod tree;

use std::fmt;

use super::report::Report;
use crate::Reason;
pub(super) use tree::Value;

/// The value of a field cannot be used, and the report says why. Whoever asked decides how much is
/// left out for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wrong;

/// A place in an object, with the value there. Displays as problems name it:
/// `spec.rules[1].host`.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    value: &'a Value,
    place: Place<'a>,
}

/// A place, from the one that it is in.
#[derive(Clone, Copy)]
enum Place<'a> {
    Top(&'a str),
    Named(&'a Field<'a>, &'a str),
    Item(&'a Field<'a>, usize),
}

/// The value of every field that is not there.
static UNSET: Value = Value::Unset;

impl<'a> Field<'a> {
    /// A field of the object itself.
    pub(super) fn top(name: &'a str, value: &'a Value) -> Field<'a> {
        Field {
            value,
            place: Place::Top(name),
        }
    }

    /// A field of the object that is here.
    pub(super) fn get(&'a self, name: &'a str) -> Field<'a> {
        let value = match self.value {
            Value::Fields(fields) => fields.get(name).unwrap_or(&UNSET),
            _ => &UNSET,
        };
        Field {
            value,
            place: Place::Named(self, name),
        }
    }

    /// The position in the list, for an item of one.
    pub(super) fn position(&self) -> usize {
        match self.place {
            Place::Item(_, at) => at,
            Place::Top(_) | Place::Named(..) => 0,
        }
    }

    /// Whether there is a value.
    pub(super) fn is_set(&self) -> bool {
        !matches!(self.value, Value::Unset)
    }

    /// The text that is here.
    pub(super) fn text(&self, report: &mut Report) -> Result<Option<&'a str>, Wrong> {
        match self.value {
            Value::Unset => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            _ => Err(self.is_not("a text", report)),
        }
    }

    /// The text that is here; an empty one is as good as none.
    pub(super) fn filled(&self, report: &mut Report) -> Result<Option<&'a str>, Wrong> {
        Ok(self.text(report)?.filter(|text| !text.is_empty()))
    }

    /// The text that has to be here.
    pub(super) fn required(&self, report: &mut Report) -> Result<&'a str, Wrong> {
        let text = self.filled(report)?;
        text.ok_or_else(|| self.error(Reason::InvalidValue, "it is missing", report))
    }

    /// The whole number that is here.
    pub(super) fn number(&self, report: &mut Report) -> Result<Option<i64>, Wrong> {
        match self.value {
            Value::Unset => Ok(None),
            Value::Number(number) => Ok(Some(*number)),
            _ => Err(self.is_not("a whole number without quotes", report)),
        }
    }

    /// The flag that is here.
    pub(super) fn flag(&self, report: &mut Report) -> Result<Option<bool>, Wrong> {
        match self.value {
            Value::Unset => Ok(None),
            Value::Flag(flag) => Ok(Some(*flag)),
            _ => Err(self.is_not("true or false", report)),
        }
    }

    /// The items of the list that is here; none without one.
    pub(super) fn items(&'a self, report: &mut Report) -> Result<Items<'a>, Wrong> {
        let values: &[Value] = match self.value {
            Value::Unset => &[],
            Value::List(values) => values,
            _ => return Err(self.is_not("a list", report)),
        };
        Ok(Items {
            list: self,
            values,
            at: 0,
        })
    }

    /// The first items of the list that is here. Those after so many are left out, which is
    /// reported.
    pub(super) fn first_items(
        &'a self,
        most: usize,
        report: &mut Report,
    ) -> Result<Items<'a>, Wrong> {
        let mut items = self.items(report)?;
        if items.values.len() > most {
            let message = format!("only the first {most} of {} count", items.values.len());
            report.error(self, Reason::TooLarge, message);
            items.values = &items.values[..most];
        }
        Ok(items)
    }

    /// Whether there is an object with fields here.
    pub(super) fn has_fields(&self, report: &mut Report) -> Result<bool, Wrong> {
        match self.value {
            Value::Unset => Ok(false),
            Value::Fields(_) => Ok(true),
            _ => Err(self.is_not("an object with fields", report)),
        }
    }

    /// The labels or the like that are here.
    pub(super) fn pairs(
        &'a self,
        report: &mut Report,
    ) -> Result<impl Iterator<Item = (&'a str, Field<'a>)> + use<'a>, Wrong> {
        self.has_fields(report)?;
        let fields = match self.value {
            Value::Fields(fields) => Some(fields),
            _ => None,
        };
        let pairs = fields.into_iter().flatten();
        Ok(pairs.map(|(name, _)| (name.as_str(), self.get(name))))
    }

    /// Reports that the value is not used, and why.
    pub(super) fn error(
        &self,
        reason: Reason,
        message: impl Into<String>,
        report: &mut Report,
    ) -> Wrong {
        report.error(self, reason, message);
        Wrong
    }

    fn is_not(&self, expected: &str, report: &mut Report) -> Wrong {
        let message = format!("it is {}, not {expected}", self.value.what());
        self.error(Reason::InvalidValue, message, report)
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Top(name) => f.write_str(name),
            Place::Named(parent, name) => write!(f, "{parent}.{name}"),
            Place::Item(parent, at) => write!(f, "{parent}[{at}]"),
        }
    }
}

impl From<&Field<'_>> for String {
    fn from(field: &Field<'_>) -> String {
        field.to_string()
    }
}

/// The items of a list, each a [`Field`].
pub(super) struct Items<'a> {
    list: &'a Field<'a>,
    values: &'a [Value],
    at: usize,
}

impl<'a> Items<'a> {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// How many there are.
    pub(super) fn count_all(&self) -> usize {
        self.values.len()
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let value = self.values.get(self.at)?;
        let place = Place::Item(self.list, self.at);
        self.at += 1;
        Some(Field { value, place })
    }
}
