//! Tasks: lists of steps, with the options that every step has.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::StepSpec;

/// A unit of work: steps done one after another.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// Its name.
    pub name: String,
    /// Its steps.
    pub steps: Vec<StepPlan>,
}

/// A step with the options that every step has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepPlan {
    /// A named step has a histogram of its own.
    pub name: Option<String>,
    /// How long it may take.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "serde_optional_duration")]
    pub timeout: Option<Duration>,
    /// What a time-out means.
    #[serde(default)]
    pub on_timeout: OnTimeout,
    /// The operation or combinator.
    pub spec: StepSpec,
}

impl StepPlan {
    /// Whether the steps after it may be left out: after its time-out, or by the step itself.
    pub fn may_skip(&self) -> bool {
        self.timeout.is_some() && self.on_timeout == OnTimeout::Skip || self.spec.may_end_task()
    }
}

/// What a time-out of a step means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnTimeout {
    /// The task fails, and with it the trial.
    #[default]
    Fail,
    /// It is counted, and the rest of the task is skipped.
    Skip,
    /// It is counted, and the task goes on.
    Ignore,
}

mod serde_optional_duration {
    //! An optional duration as its text.
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub fn serialize<S: Serializer>(
        value: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.map(crate::units::format_duration).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|t| crate::units::parse_duration(&t).map_err(serde::de::Error::custom)).transpose()
    }
}
