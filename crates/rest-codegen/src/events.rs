//! Messages of `sc.events.v1` -> `impl Event`.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};

use crate::Schema;
use crate::names;
use crate::schema::{EventOptions, event_of};

pub fn generate(schema: &Schema) -> Result<String> {
    let mut code = String::new();
    let mut types = Vec::new();
    let mut secrets = Vec::new();
    for message in &schema.messages {
        let Some(EventOptions {
            name,
            subject,
            secret,
        }) = event_of(&schema.pool, message)?
        else {
            continue;
        };
        let field = message.get_field_by_name(&subject);
        field.with_context(|| format!("{}: its subject {subject:?} is no field", message.full_name()))?;
        ensure!(!types.contains(&name), "two events are called {name}");
        let path = names::message_path(message.full_name());
        let member = names::field(&subject);
        writeln!(
            code,
            "impl crate::Event for {path} {{ const TYPE: &'static str = {name:?}; fn subject(&self) -> &str {{ &self.{member} }} }}"
        )?;
        if secret {
            secrets.push(name.clone());
        }
        types.push(name);
    }
    write!(
        code,
        "/// The type of every event there is.\npub static EVENT_TYPES: &[&str] = &{types:?};\n\
         /// Those that hold a secret, and are not kept once they are published.\npub static SECRET_EVENT_TYPES: &[&str] = &{secrets:?};\n"
    )?;
    Ok(code)
}
