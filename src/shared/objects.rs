//! The shared objects of one trial, by their names.

use std::{any::Any, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Made, SharedCounts, SharedSpec};
use crate::{measure::SHARED_TURNS, runtime::Coordination};

/// A shared object and its name.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NamedShared {
    /// The name by which steps refer to it.
    pub name: String,
    /// What it is.
    pub spec: SharedSpec,
}

impl NamedShared {
    /// Such as: queue jobs.
    pub fn words(&self) -> String {
        format!("{} {}", self.spec.key(), self.name)
    }
}

/// The shared objects of one trial.
#[derive(Default)]
pub struct Objects(Vec<(NamedShared, Made)>);

/// Shared objects do not fit together, or what asks for one does not fit it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SharedError(String);

impl Objects {
    /// Makes them of an executor's primitives. Two of one name are an error.
    pub fn make<N: Coordination>(named: &[NamedShared]) -> Result<Self, SharedError> {
        let mut objects = Self::default();
        for one in named {
            if objects.0.iter().any(|(other, _)| other.name == one.name) {
                return Err(SharedError(format!("two shared objects are called `{}`", one.name)));
            }
            objects.0.push((one.clone(), one.spec.make::<N>()));
        }
        Ok(objects)
    }

    /// The object of this name, of the type that its kind makes.
    pub fn get<T: Any + Send + Sync>(&self, name: &str) -> Result<Arc<T>, SharedError> {
        let found = self.0.iter().find(|(named, _)| named.name == name);
        let (_, made) =
            found.ok_or_else(|| SharedError(format!("there is no shared object `{name}`")))?;
        let object = made.object.clone().downcast();
        object.map_err(|_| SharedError(format!("the shared object `{name}` is of another kind")))
    }

    /// What they have counted until now, in the order of the plan.
    pub fn read(&self) -> Vec<(&NamedShared, Box<dyn SharedCounts>)> {
        self.0.iter().map(|(named, made)| (named, made.account.read())).collect()
    }
}

/// What the fairness manifest says of shared objects: what they are made of, and who is next.
pub fn facts<N: Coordination>(named: &[NamedShared]) -> Vec<(String, String)> {
    let of_one = |one: &NamedShared| {
        let [primitive, turns] = one.spec.facts::<N>();
        let words = one.words();
        [(words.clone(), primitive), (format!("{SHARED_TURNS}{words}"), turns)]
    };
    named.iter().flat_map(of_one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Diagnostics, Fields, parse},
        runtime::{Blocking, Native},
        shared::{MutexOf, QueueOf},
    };

    fn named(name: &str, key: &str, table: &str) -> NamedShared {
        let mut diagnostics = Diagnostics::default();
        let node = parse(&format!("x = {table}"), &mut diagnostics);
        let mut fields = Fields::of(node.get("x").unwrap(), &mut diagnostics).unwrap();
        let spec = SharedSpec::read(key, &mut fields).unwrap();
        NamedShared { name: name.into(), spec }
    }

    fn objects<N: Native>(named: &[NamedShared]) -> Result<Objects, String> {
        Objects::make::<N>(named).map_err(|error| error.to_string())
    }

    #[test]
    fn an_object_is_known_by_its_name_and_its_kind() {
        let all = [named("a", "queue", "{ capacity = 2 }"), named("b", "mutex", "{}")];
        let objects = objects::<Blocking>(&all).unwrap();
        assert!(objects.get::<QueueOf<Blocking>>("a").is_ok());
        let wrong = |found: Result<Arc<MutexOf<Blocking>>, SharedError>| {
            found.err().map(|error| error.to_string())
        };
        assert_eq!(wrong(objects.get("b")), None);
        let of_another_kind = "the shared object `a` is of another kind".to_owned();
        assert_eq!(wrong(objects.get("a")), Some(of_another_kind));
        assert_eq!(wrong(objects.get("c")), Some("there is no shared object `c`".to_owned()));
    }

    #[test]
    fn two_objects_of_one_name_are_an_error() {
        let all = [named("a", "queue", "{ capacity = 2 }"), named("a", "mutex", "{}")];
        let error = objects::<Blocking>(&all).err();
        assert_eq!(error, Some("two shared objects are called `a`".to_owned()));
    }
}
