//! The driver: the generated script that an action executes.
//!
//! It is a function of the steps' scripts alone, finds everything from the
//! folder that it is started in, and needs bash and coreutils: the same action
//! runs here and on another machine. Where the engine did not lay a private
//! copy of the inputs (no `.mikado/staged`), it makes one, since some workers
//! hand out links into their own store.

use crate::runner::definition::Step;

/// Where it lies below the action's root.
pub const PATH: &str = ".mikado/drive";

/// The file that says that `work/` is a private copy; made by the engine.
pub const STAGED: &str = ".mikado/staged";

/// The file in which the driver writes the number of the step it starts.
pub const STEP: &str = ".mikado/step";

const BEGIN: &str = "# the driver of a mikado action\nset -euf\n";

/// Exports what steps see, from the root of an action; globbing is off.
const EXPORTS: &str = r#"root=$PWD
path=
IFS=:
for folder in $PATH; do
  case $folder in
    /*) ;;
    *) folder=$root/$folder ;;
  esac
  path=$path${path:+:}$folder
done
unset IFS folder
export PATH="$path" HOME="$root/home" TMPDIR="$root/tmp" OUT="$root/out"
export REQUIRES="$root/requires" FETCH="$root/fetch" TOOLS="$root/tools"
export RUNNER="$root/runner" CACHE="${CACHE:-$root/tmp/cache}"
# The real folder: `find` does not follow a link that it is given.
if [ -d artifact ]; then
  ARTIFACT=$(cd -P artifact && pwd)
  export ARTIFACT
fi
"#;

const STEPS: &str = r#"if [ ! -e .mikado/staged ]; then
  mv work .mikado/work
  cp -R .mikado/work work
  chmod -R u+w work
  mkdir -p out tmp home
fi
step() {
  number=$1
  shift
  echo "$number" > "$root/.mikado/step" || :
  cd "$root/work"
  "$@" || exit $?
}
"#;

const OWN_HOME: &str = r#"HOME="$root/home""#;
const USER_HOME: &str = r#"HOME="${HOME:-$root/home}""#;

/// What exports to bash all that steps see, from the root of an action; globbing
/// must be off. With `user_home`, HOME is the one that it is started with.
pub fn exports(user_home: bool) -> String {
    match user_home {
        true => EXPORTS.replacen(OWN_HOME, USER_HOME, 1),
        false => EXPORTS.to_owned(),
    }
}

/// The script for `steps`.
/// With `user_home`, HOME is the one that it is started with, if there is one.
pub fn text(steps: &[Step], user_home: bool) -> String {
    let exports = exports(user_home);
    let mut text = [BEGIN, &exports, STEPS].concat();
    for (index, step) in steps.iter().enumerate() {
        text.push_str(&format!("step {}", index + 1));
        for word in step.language.argv() {
            text.push(' ');
            text.push_str(word);
        }
        text.push(' ');
        text.push_str(&quoted(&step.run));
        text.push('\n');
    }
    text
}

/// `text` as one word of a shell.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_survive() {
        assert_eq!(quoted("echo 'a'"), r"'echo '\''a'\'''");
    }

    #[test]
    fn names_of_steps_are_not_in_it() {
        let step = |name: &str| Step {
            name: Some(name.into()),
            run: "true".into(),
            ..Step::default()
        };
        assert_eq!(text(&[step("a")], false), text(&[step("b")], false));
    }

    #[test]
    fn the_home_folder_is_the_users_only_where_it_is_asked_for() {
        assert_eq!(EXPORTS.matches(OWN_HOME).count(), 1);
        assert!(!text(&[], false).contains(USER_HOME));
        assert!(text(&[], true).contains(USER_HOME));
    }
}
