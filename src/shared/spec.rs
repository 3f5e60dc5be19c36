//! What a shared object is before it is made for an executor, and what is asked of it afterwards.

use std::{any::Any, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use crate::{config::Fields, runtime::Coordination};

/// One kind of shared object.
pub trait SharedKind: Sized + Clone + Serialize + DeserializeOwned {
    /// The key that names the kind in a `[shared.x]` table.
    const KEY: &'static str;
    /// What it is, in one sentence.
    const DOC: &'static str;

    /// Reads the parameters from the table under [`Self::KEY`].
    fn read(fields: &mut Fields<'_>) -> Option<Self>;

    /// Makes it of an executor's primitives.
    fn make<N: Coordination>(&self) -> Made;

    /// The primitive that it is made of there, and who of those that wait is next.
    fn facts<N: Coordination>(&self) -> [String; 2];
}

/// An object that was made.
pub struct Made {
    /// What steps use; each kind has its own type.
    pub object: Arc<dyn Any + Send + Sync>,
    /// The same, for the proof.
    pub account: Arc<dyn SharedAccount>,
}

impl Made {
    /// Of an object that keeps its own account.
    pub fn new<T: SharedAccount + Any>(object: T) -> Self {
        let object = Arc::new(object);
        Self { account: object.clone(), object }
    }
}

/// The account that an object keeps.
pub trait SharedAccount: Send + Sync {
    /// What it has counted until now.
    fn read(&self) -> Box<dyn SharedCounts>;
}

/// What an object had counted at one moment.
pub trait SharedCounts {
    /// What must hold of it, beside the calls of the steps that name the object; `calls` gives them
    /// by the steps' key.
    fn lines(&self, calls: &dyn Fn(&str) -> SharedCalls) -> Vec<ObjectLine>;
}

/// The calls of a kind of steps on one object, by the account of the steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SharedCalls {
    /// Those that had ended by themselves before the object was asked.
    pub least: u64,
    /// Those that had ended after it, and those that were under way: as many may have done their
    /// part.
    pub most: u64,
    /// Whether some still moved while the object was asked, so that it was not asked at one moment.
    pub moves: bool,
}

/// One line of an object's proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectLine {
    /// What is compared.
    pub what: &'static str,
    /// The least and the most that it may be.
    pub expected: (u64, u64),
    /// What it is.
    pub found: u64,
}

impl ObjectLine {
    /// Of two numbers that must be equal.
    pub fn equal(what: &'static str, expected: u64, found: u64) -> Self {
        Self { what, expected: (expected, expected), found }
    }

    /// Of what an object counted of calls, of which so many more were given up and counted.
    pub fn of_calls(what: &'static str, calls: SharedCalls, given_up: u64, found: u64) -> Self {
        Self { what, expected: (calls.least + given_up, calls.most + given_up), found }
    }

    /// Whether it holds.
    pub fn holds(&self) -> bool {
        (self.expected.0..=self.expected.1).contains(&self.found)
    }
}

/// Writes the sum type of all kinds and its table from one line per kind.
macro_rules! shared {
    ($($variant:ident => $path:path,)*) => {
        /// A shared object of any kind.
        #[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum SharedSpec {
            $(#[allow(missing_docs)] $variant($path),)*
        }

        impl SharedSpec {
            /// The keys and sentences of all kinds, in documentation order.
            pub const TABLE: &'static [(&'static str, &'static str)] =
                &[$((<$path as $crate::shared::SharedKind>::KEY, <$path as $crate::shared::SharedKind>::DOC),)*];

            /// Reads the parameters of the kind called `key`; `None` too if there is no such kind.
            pub fn read(key: &str, fields: &mut $crate::config::Fields<'_>) -> Option<Self> {
                $(if key == <$path as $crate::shared::SharedKind>::KEY {
                    return <$path as $crate::shared::SharedKind>::read(fields).map(Self::$variant);
                })*
                None
            }

            /// The key that names this kind.
            pub fn key(&self) -> &'static str {
                match self { $(Self::$variant(_) => <$path as $crate::shared::SharedKind>::KEY,)* }
            }

            /// See [`SharedKind::make`].
            pub fn make<N: $crate::runtime::Coordination>(&self) -> $crate::shared::Made {
                match self { $(Self::$variant(object) => object.make::<N>(),)* }
            }

            /// See [`SharedKind::facts`].
            pub fn facts<N: $crate::runtime::Coordination>(&self) -> [String; 2] {
                match self { $(Self::$variant(object) => object.facts::<N>(),)* }
            }
        }
    };
}
pub(super) use shared;
