"""Print the JSON schema of a recipe, for editors and validators."""

import json

import click


@click.command("schema")
@click.option("--json", "as_json", is_flag=True, help="The schema is JSON with or without this.")
def schema(as_json: bool) -> None:
    """Print the JSON schema of a recipe, for editors and validators."""
    from ostinato.recipe import schema as recipe_schema

    click.echo(json.dumps(recipe_schema.schema(), indent=None if as_json else 1))
