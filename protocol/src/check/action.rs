//! What an action must be to be judged at all.

use super::{Check, count_of, ensure, is_label_name, name_of, shortened, text_of};
use crate::command::{File, Package, Run, Script, Service};
use crate::{WireError, limits};

/// What `service` brings a unit to.
pub const SERVICE_STATES: [&str; 4] = ["started", "stopped", "restarted", "reloaded"];
/// What `package` brings packages to.
pub const PACKAGE_STATES: [&str; 3] = ["present", "latest", "absent"];
/// What `file` brings a path to.
pub const FILE_STATES: [&str; 3] = ["file", "directory", "absent"];

impl Check for Run {
    fn check(&self) -> Result<(), WireError> {
        program(&self.argv)?;
        count_of("environment", self.environment.len(), limits::LABELS)?;
        self.environment.iter().try_for_each(|(name, value)| {
            ensure(is_label_name(name), "environment name", || format!("{:?}", shortened(name)))?;
            ensure(!value.contains('\0') && value.len() <= limits::TEXT_BYTES, "environment value", || name.clone())
        })
    }
}

impl Check for Service {
    fn check(&self) -> Result<(), WireError> {
        name_of("unit", &self.name, 256)?;
        ensure(
            !self.name.starts_with('-')
                && self.name.bytes().all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b)),
            "unit",
            || format!("{:?} is no name of a unit", shortened(&self.name)),
        )?;
        state(&self.state, &SERVICE_STATES)
    }
}

impl Check for Script {
    fn check(&self) -> Result<(), WireError> {
        program(&self.argv)?;
        arguments(&self.arguments)?;
        name_of("content", &self.content, limits::CONTENT_BYTES)
    }
}

impl Check for Package {
    fn check(&self) -> Result<(), WireError> {
        ensure(!self.names.is_empty(), "packages", || "none is named".to_owned())?;
        count_of("packages", self.names.len(), 64)?;
        self.names.iter().try_for_each(|name| {
            name_of("package", name, 256)?;
            // Names of dpkg, rpm, apk and pacman; not "=", a path, or what a manager would take for an option.
            let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
            ensure(first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-._:".contains(&b)), "package", || {
                format!("{:?} is no name of a package", shortened(name))
            })
        })?;
        state(&self.state, &PACKAGE_STATES)
    }
}

impl Check for File {
    fn check(&self) -> Result<(), WireError> {
        name_of("path", &self.path, 4_096)?;
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        let is_plain = self.path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(plain));
        ensure(is_plain, "path", || format!("{:?} is no plain absolute path", shortened(&self.path)))?;
        state(&self.state, &FILE_STATES)?;
        if let Some(content) = &self.content {
            ensure(self.state == "file", "content", || format!("of what shall be {}", self.state))?;
            ensure(content.len() <= limits::CONTENT_BYTES, "content", || format!("{} bytes", content.len()))?;
        }
        ensure(self.mode.is_none_or(|mode| mode <= 0o7777), "mode", || "more than permission bits".to_owned())?;
        text_of("owner", &self.owner, 64)?;
        text_of("group", &self.group, 64)
    }
}

fn program(argv: &[String]) -> Result<(), WireError> {
    name_of("argv[0]", argv.first().map_or("", String::as_str), limits::TEXT_BYTES)?;
    arguments(argv)
}

fn arguments(words: &[String]) -> Result<(), WireError> {
    count_of("arguments", words.len(), 256)?;
    words.iter().try_for_each(|argument| text_of("argument", argument, limits::TEXT_BYTES))
}

fn state(found: &str, known: &[&str]) -> Result<(), WireError> {
    ensure(known.contains(&found), "state", || format!("{:?}, not one of {}", shortened(found), known.join(", ")))
}
