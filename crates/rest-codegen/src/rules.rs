//! The `buf.validate` rules that we know. Any other stops the build, so that no rule is silently not held.

use anyhow::{Context, Result, bail};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Value};

use crate::schema::rules_of;

#[derive(Debug, Clone, Default)]
pub struct FieldRules {
    pub required: bool,
    pub string: StringRules,
    pub number: NumberRules,
    pub list: ListRules,
    /// Of a list: the rules of each item.
    pub items: Option<Box<FieldRules>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StringRules {
    pub min_len: Option<u64>,
    pub max_len: Option<u64>,
    pub pattern: Option<String>,
    pub one_of: Vec<String>,
    pub email: bool,
    pub uuid: bool,
    pub example: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NumberRules {
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub example: Option<i64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListRules {
    pub min_items: Option<u64>,
    pub max_items: Option<u64>,
    pub unique: bool,
}

impl FieldRules {
    /// Reads the rules of a field; none are the empty ones.
    pub fn of(pool: &DescriptorPool, field: &FieldDescriptor) -> Result<Self> {
        match rules_of(pool, field)? {
            Some(message) => Self::read(&message).with_context(|| format!("rules of {}", field.full_name())),
            None => Ok(Self::default()),
        }
    }

    fn read(message: &DynamicMessage) -> Result<Self> {
        let mut rules = Self::default();
        for (field, value) in message.fields() {
            match (field.name(), value) {
                ("required", Value::Bool(required)) => rules.required = *required,
                ("string", Value::Message(of)) => rules.string = StringRules::read(of)?,
                ("int32", Value::Message(of)) => rules.number = NumberRules::read(of)?,
                ("repeated", Value::Message(of)) => (rules.list, rules.items) = ListRules::read(of)?,
                (other, _) => bail!("the rule `{other}` is not supported"),
            }
        }
        Ok(rules)
    }
}

impl StringRules {
    fn read(message: &DynamicMessage) -> Result<Self> {
        let mut rules = Self::default();
        for (field, value) in message.fields() {
            match (field.name(), value) {
                ("min_len", Value::U64(len)) => rules.min_len = Some(*len),
                ("max_len", Value::U64(len)) => rules.max_len = Some(*len),
                ("pattern", Value::String(pattern)) => {
                    rules.pattern = Some(pattern.clone());
                }
                ("in", Value::List(texts)) => rules.one_of = strings(texts),
                ("email", Value::Bool(email)) => rules.email = *email,
                ("uuid", Value::Bool(uuid)) => rules.uuid = *uuid,
                ("example", Value::List(texts)) => rules.example = strings(texts).into_iter().next(),
                (other, _) => bail!("the rule `string.{other}` is not supported"),
            }
        }
        Ok(rules)
    }

    pub fn is_empty(&self) -> bool {
        Self {
            example: None,
            ..self.clone()
        } == Self::default()
    }
}

impl NumberRules {
    fn read(message: &DynamicMessage) -> Result<Self> {
        let mut rules = Self::default();
        for (field, value) in message.fields() {
            match (field.name(), value) {
                ("gte", Value::I32(bound)) => rules.min = Some(i64::from(*bound)),
                ("gt", Value::I32(bound)) => rules.min = Some(i64::from(*bound) + 1),
                ("lte", Value::I32(bound)) => rules.max = Some(i64::from(*bound)),
                ("lt", Value::I32(bound)) => rules.max = Some(i64::from(*bound) - 1),
                ("example", Value::List(numbers)) => {
                    rules.example = numbers.first().and_then(Value::as_i32).map(i64::from);
                }
                (other, _) => bail!("the rule `int32.{other}` is not supported"),
            }
        }
        Ok(rules)
    }

    pub fn is_empty(&self) -> bool {
        self.min.is_none() && self.max.is_none()
    }
}

impl ListRules {
    fn read(message: &DynamicMessage) -> Result<(Self, Option<Box<FieldRules>>)> {
        let (mut rules, mut items) = (Self::default(), None);
        for (field, value) in message.fields() {
            match (field.name(), value) {
                ("min_items", Value::U64(count)) => rules.min_items = Some(*count),
                ("max_items", Value::U64(count)) => rules.max_items = Some(*count),
                ("unique", Value::Bool(unique)) => rules.unique = *unique,
                ("items", Value::Message(of)) => items = Some(Box::new(FieldRules::read(of)?)),
                (other, _) => bail!("the rule `repeated.{other}` is not supported"),
            }
        }
        Ok((rules, items))
    }
}

fn strings(values: &[Value]) -> Vec<String> {
    values
        .iter()
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect()
}
