//! A task that is run while something is held: what `lock` and `acquire` share.

use super::{Call, Sequence, StepOutcome, site::ChildTask};

/// A task and what it runs under. Where the call is given up, the task is given up first, and only
/// then what was held is let go.
pub(super) struct Inside<'a, H> {
    body: &'a mut Sequence,
    child: &'a ChildTask,
    runs: bool,
    held: H,
}

impl<'a, H> Inside<'a, H> {
    /// With what is held now.
    pub(super) fn of(held: H, body: &'a mut Sequence, child: &'a ChildTask) -> Self {
        Self { body, child, runs: false, held }
    }

    /// Runs the task to its end, and says how that was; then `end` lets go.
    pub(super) async fn run(mut self, call: Call, end: impl FnOnce(&mut H)) -> StepOutcome {
        self.child.asked();
        self.runs = true;
        let outcome = self.body.run(call.of_child(0)).await;
        self.runs = false;
        self.child.returned();
        end(&mut self.held);
        outcome
    }
}

impl<H> Drop for Inside<'_, H> {
    fn drop(&mut self) {
        if self.runs {
            self.body.cancel();
            self.child.returned();
        }
    }
}
