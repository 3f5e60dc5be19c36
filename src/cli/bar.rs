//! The line that shows how far a run is, for a terminal of any width. Pure.

/// Columns of the bar between its brackets, where there is room.
const BAR: usize = 24;
/// … and where there is little.
const SHORT_BAR: usize = 8;
/// Below so many columns there is little room.
const ROOMY: usize = 70;

/// What the line says.
#[derive(Debug, Clone, Copy)]
pub(super) struct BarState<'a> {
    /// Trials that have ended; one that is run again counts once.
    pub done: usize,
    /// Trials in all.
    pub of: usize,
    /// The cell that runs.
    pub cell: &'a str,
    /// Its round, from 1.
    pub round: u32,
    /// Of a trial that is run again: its number among those, from 1, and how many there are.
    pub again: Option<(usize, usize)>,
    /// How long what is left takes, in words.
    pub left: &'a str,
}

/// The line, in at most so many columns. The cell's name is cut in its middle where there is no
/// room for it: its beginning says which scenario it is, its end which parameters it has.
pub(super) fn line(state: &BarState<'_>, columns: usize) -> String {
    let BarState { done, of, cell, round, again, left } = *state;
    let bar = bar(done, of, if columns < ROOMY { SHORT_BAR } else { BAR });
    let again = again.map_or_else(String::new, |(number, all)| format!(" again {number}/{all}"));
    let (before, after) =
        (format!("{bar} {done}/{of}  "), format!(" #{round}{again}  about {left} left"));
    let room = columns.saturating_sub(width(&before) + width(&after));
    let text = match room {
        0..=3 => format!("{before}{}", after.trim_start()),
        room => format!("{before}{}{after}", middle(cell, room)),
    };
    text.chars().take(columns).collect()
}

fn bar(done: usize, of: usize, columns: usize) -> String {
    let full = (done.min(of) * columns).checked_div(of).unwrap_or(columns);
    let head = if full < columns { ">" } else { "" };
    format!("[{}{head}{}]", "=".repeat(full), " ".repeat(columns - full - head.len()))
}

/// A text without its middle where it is too long.
fn middle(text: &str, columns: usize) -> String {
    let all: Vec<char> = text.chars().collect();
    if all.len() <= columns {
        return text.to_owned();
    }
    let kept = columns.saturating_sub(1);
    let (start, end) = (kept / 2, all.len() - (kept - kept / 2));
    all[..start].iter().chain(['…'].iter()).chain(&all[end..]).collect()
}

fn width(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: &str = "http-fan-out::tokio-current-thread::concurrency=1024,body=16KiB";

    fn shown(cell: &str, again: Option<(usize, usize)>, columns: usize) -> String {
        line(&BarState { done: 12, of: 49, cell, round: 2, again, left: "2 min 25 s" }, columns)
    }

    #[test]
    fn it_fits_the_terminal() {
        assert_eq!(
            shown("a::tokio", None, 80),
            "[=====>                  ] 12/49  a::tokio #2  about 2 min 25 s left"
        );
        assert_eq!(
            shown(LONG, None, 40),
            "[=>      ] 12/49  #2  about 2 min 25 s left".chars().take(40).collect::<String>()
        );
        assert_eq!(
            shown(LONG, None, 80),
            "[=====>                  ] 12/49  http-fan-…body=16KiB #2  about 2 min 25 s left"
        );
        assert!(shown(LONG, None, 140).contains(LONG));
        for columns in 0..200 {
            for again in [None, Some((2, 3))] {
                for cell in ["a::tokio", LONG, &LONG.replace("body", "größe")] {
                    let text = shown(cell, again, columns);
                    assert!(width(&text) <= columns, "{columns}: {text}");
                    assert!(
                        columns < 70 || text.ends_with("about 2 min 25 s left"),
                        "{columns}: {text}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_trial_that_is_run_again_says_so() {
        assert!(
            shown("a::tokio", Some((2, 3)), 80).contains("12/49  a::tokio #2 again 2/3  about")
        );
    }

    #[test]
    fn the_bar_is_empty_at_first_and_full_at_last() {
        assert_eq!(
            [bar(0, 4, 4), bar(2, 4, 4), bar(4, 4, 4), bar(0, 0, 4)],
            ["[>   ]", "[==> ]", "[====]", "[====]"]
        );
    }

    #[test]
    fn the_middle_of_a_name_is_left_out() {
        assert_eq!(
            [middle("abcdefghij", 10), middle("abcdefghij", 5), middle("abcdefghij", 4)],
            ["abcdefghij", "ab…ij", "a…ij"]
        );
    }
}
