//! The arms of a step function: a message, a timer or a command of each kind. An arm that no
//! model ever takes has never been checked.

use std::fmt::{self, Debug, Write};

use models::Specification;
use models::world::{Action, Envelope, Kind};
use models::{Data, Input};
use serde::de::value::Error;
use serde::de::{Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

/// The names of all arms of a protocol's step function.
pub fn all<P: Specification>() -> Vec<String> {
    let messages = variants::<P::Message>().iter();
    let timers = variants::<P::Timer>().iter();
    let commands = variants::<P::Command>().iter();
    messages
        .map(|name| format!("deliver {name}"))
        .chain(timers.map(|name| format!("fire {name}")))
        .chain(commands.map(|name| format!("ask {name}")))
        .collect()
}

/// The name of the arm that an action goes through, if a node takes a step in it. Which command
/// a client asks is not part of the action: `command` is it.
pub fn of<P: Specification>(
    action: &Action<P>,
    command: impl FnOnce(usize) -> Option<P::Command>,
) -> Option<String> {
    let deliver = |message: &P::Message| format!("deliver {}", variant(message));
    match action {
        Action::Deliver(Envelope { message, .. }) | Action::Duplicate(Envelope { message, .. }) => {
            Some(deliver(message))
        }
        Action::Fire { timer, .. } => Some(format!("fire {}", variant(timer))),
        Action::Ask { client, .. } | Action::AskUnheard { client, .. } => {
            Some(format!("ask {}", variant(&command(*client)?)))
        }
        Action::CrashWithin { input, .. } => Some(match input {
            Input::Deliver { message, .. } => deliver(message),
            Input::Fire(timer) => format!("fire {}", variant(timer)),
            Input::Ask(command) => format!("ask {}", variant(command)),
        }),
        Action::Drop(_)
        | Action::Crash(_)
        | Action::LoseDisk(_)
        | Action::Restart(_)
        | Action::Sync(_)
        | Action::Cut { .. }
        | Action::Isolate(_)
        | Action::Heal => None,
    }
}

/// The kinds of actions, in the order of their numbers.
pub const KINDS: [Kind; 14] = [
    Kind::Deliver,
    Kind::Duplicate,
    Kind::Drop,
    Kind::Fire,
    Kind::Ask,
    Kind::AskUnheard,
    Kind::Crash,
    Kind::CrashWithin,
    Kind::LoseDisk,
    Kind::Restart,
    Kind::Sync,
    Kind::Cut,
    Kind::Isolate,
    Kind::Heal,
];

/// The name of a value's variant, as `derive(Debug)` prints it.
fn variant(value: &impl Debug) -> String {
    let mut name = Name::default();
    // That it is stopped behind the name is no error.
    let _ = write!(name, "{value:?}");
    name.0
}

/// Takes what is printed up to the end of the first name: most of a value comes behind it.
#[derive(Default)]
struct Name(String);

impl Write for Name {
    fn write_str(&mut self, printed: &str) -> fmt::Result {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let end = printed.find(|c| !is_name(c));
        self.0.push_str(&printed[..end.unwrap_or(printed.len())]);
        end.map_or(Ok(()), |_| Err(fmt::Error))
    }
}

/// The names of an enum's variants, as `derive(Deserialize)` tells whoever deserialises it; of
/// any other type none.
fn variants<T: Data>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // It cannot succeed: there is nothing to read. What it asked for is what is wanted.
    let _ = T::deserialize(Curious { names: &mut names });
    names
}

/// Reads nothing, and notes of which enum a value is wanted.
struct Curious<'a> {
    names: &'a mut &'static [&'static str],
}

impl<'de> Deserializer<'de> for Curious<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("there is nothing to read"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.names = variants;
        Err(Error::custom("there is nothing to read"))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use models::bully::Bully;

    use super::*;

    #[test]
    fn the_arms_of_bully_are_its_messages_and_timers() {
        let arms = all::<Bully<u8>>();
        for arm in ["deliver Election", "deliver Okay", "deliver Coordinator"] {
            assert!(
                arms.iter().any(|name| name == arm),
                "{arm} is not in {arms:?}"
            );
        }
        assert!(
            arms.iter().any(|name| name.starts_with("fire ")),
            "{arms:?}"
        );
    }
}
