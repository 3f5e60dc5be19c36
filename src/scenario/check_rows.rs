//! Rules about rows of data: a step uses columns that there are, and every table is used.

use std::collections::BTreeSet;

use super::wire::File;
use crate::config::{Diagnostics, Name, quote, suggest};

/// Reports tables and columns that there are not.
pub(super) fn check(file: &File, diagnostics: &mut Diagnostics) {
    for used in file.steps().flat_map(|step| step.plan.spec.rows()) {
        let Some((table, column)) = used.text.split_once('.') else { continue };
        check_use(file, used, (table, column), diagnostics);
    }
}

fn check_use(
    file: &File,
    used: &Name,
    (table, column): (&str, &str),
    diagnostics: &mut Diagnostics,
) {
    if !file.data.has(table) {
        let help = if file.data.0.is_empty() {
            format!("add [data.{table}] with csv = \"{table}.csv\"")
        } else {
            suggest(table, "tables of data", file.data.names())
        };
        let message = format!("there is no table {} in `data`", quote(table));
        return diagnostics.error(used.span.clone(), message, Some(help));
    }
    // One that could not be read may have it.
    let Some(data) = file.data.get(table) else { return };
    let columns = || data.csv.columns.iter().map(String::as_str);
    if !columns().any(|known| known == column) {
        let message = format!("{} has no column {}", quote(table), quote(column));
        diagnostics.error(used.span.clone(), message, Some(suggest(column, "columns", columns())));
    }
}

/// Reports tables that nothing uses.
pub(super) fn unused(file: &File, diagnostics: &mut Diagnostics) {
    let rows = file.steps().flat_map(|step| step.plan.spec.rows());
    let used: BTreeSet<&str> = rows.filter_map(|used| Some(used.text.split_once('.')?.0)).collect();
    for (name, table) in file.data.0.iter().filter(|(name, _)| !used.contains(name.text.as_str())) {
        let column = table.as_ref().and_then(|table| table.csv.columns.first());
        let column = column.map_or("COLUMN", String::as_str);
        let message = format!("nothing uses the rows of `{}`", name.text);
        let help =
            format!("write `${{row:{}.{column}}}` in a step, or remove the table", name.text);
        diagnostics.error(name.span.clone(), message, Some(help));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::scenario::{Overrides, Scenario, ScenarioError, from_text};

    /// A scenario in a folder with these files, whose step has this path and more.
    fn read(files: &[(&str, &str)], data: &str, path: &str) -> Result<Scenario, ScenarioError> {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            fs::write(folder.path().join(name), content).unwrap();
        }
        let text = format!(
            "schema = 1\nname = 'x'\n{data}\n[targets.api]\nhttp = {{}}\n[targets.db]\nsql = {{ rows = 1 }}\n\
             [tasks.main]\nsteps = [{{ http = {{ target = 'api', path = '{path}' }} }}, {{ sql = {{ target = 'db', query = 'SELECT 1' }} }}]\n\
             [load.l]\ntask = 'main'\nbatch = {{ tasks = 1 }}\n"
        );
        from_text(&folder.path().join("x.toml"), &text, &Overrides::default())
    }

    const USERS: &[(&str, &str)] = &[("users.csv", "id,name\n1,a\n2,b\n")];
    const DATA: &str = "[data.users]\ncsv = 'users.csv'\npick = 'random'";

    #[test]
    fn rows_come_from_the_file_beside_the_scenario_whose_digest_is_kept() {
        let scenario = read(USERS, DATA, "/${row:users.name}").unwrap();
        let [table] = &scenario.variants[0].data[..] else { panic!("one table") };
        assert_eq!(
            (table.columns.len(), &table.rows),
            (2, &vec![vec!["1".into(), "a".into()], vec!["2".into(), "b".into()]])
        );
        let [file] = &scenario.files[..] else { panic!("one file") };
        assert!(file.path.ends_with("/users.csv") && file.sha256.len() == 64, "{file:?}");
        let other =
            read(&[("users.csv", "id,name\n1,a\n2,c\n")], DATA, "/${row:users.name}").unwrap();
        assert_ne!(other.files[0].sha256, file.sha256);
    }

    #[test]
    fn what_is_not_there_or_not_used_is_told_with_a_remedy() {
        for (files, data, path, said, remedy) in [
            (
                USERS,
                DATA,
                "/${row:users.nam}",
                "`users` has no column `nam`",
                "did you mean `name`?",
            ),
            (
                USERS,
                DATA,
                "/${row:user.name}",
                "no table `user` in `data`",
                "did you mean `users`?",
            ),
            (USERS, "", "/${row:users.id}", "no table `users`", "add [data.users] with csv"),
            (USERS, DATA, "/", "nothing uses the rows of `users`", "`${row:users.id}`"),
            (USERS, DATA, "/${row:users}", "lacks a table and a column", "known are"),
            (
                &[],
                DATA,
                "/${row:users.id}",
                "users.csv`: No such file",
                "the folder of the scenario",
            ),
            (
                &[("users.csv", "id\n1\n2,3\n")],
                DATA,
                "/${row:users.id}",
                "`users.csv`, line 3: expected 1",
                "as many values",
            ),
        ] {
            let wrong = read(files, data, path).expect_err(path).render(false);
            assert!(wrong.contains(said) && wrong.contains(remedy), "{path}: {wrong}");
            assert_eq!(wrong.matches("error: ").count(), 1, "{wrong}");
            assert!(wrong.contains("x.toml:"), "{wrong}");
        }
    }
}
