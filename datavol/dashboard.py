"""Saves a W&B workspace with a study's curves: `python -m datavol.dashboard <project>`."""

from __future__ import annotations

from datavol.cli.boundary import Parser, cli_errors
from datavol.errors import ConfigError, flat


@cli_errors
def main() -> None:
    """Save the workspace and print its address."""
    parser = Parser(prog="python -m datavol.dashboard", description=__doc__)
    parser.add_argument("project", help="the W&B project that the runs went to, such as datavol")
    parser.add_argument("--entity", help="the user or team that the project is of; yourself by default")
    parser.add_argument("--study", help="show this study alone; by default all of the project")
    arguments = parser.parse_args()
    print(f"dashboard: {save_dashboard(arguments.project, arguments.entity, arguments.study)}")


def save_dashboard(project: str, entity: str | None, study: str | None) -> str:
    """Save the workspace as a new view; return its address.

    Raises:
        ConfigError: If wandb-workspaces is not installed, you are not logged in, or W&B refuses.
    """
    import wandb

    from datavol.tracking.session import logged_in_api
    from datavol.tracking.workspace import workspace_of

    workspace = workspace_of(project, entity or "", study)  # before the login, which a missing package makes pointless
    try:
        api = logged_in_api()
        workspace.entity = entity or api.default_entity
        return str(workspace.save().url)
    except ConfigError:
        raise
    except (wandb.Error, ValueError) as error:
        raise ConfigError(
            f"project must be a W&B project that you can change, got {project}: {flat(error)}; check it and --entity"
        ) from None


if __name__ == "__main__":
    main()
