"""The settings classes of every component by its class's name, derived from the constructors: `from
ostinato.settings import Text`."""

from ostinato.registry import ROOMS, component, names, settings_class


def __getattr__(name: str) -> type:
    for room in ROOMS:
        for member in names(room):
            if name.lower().startswith(member.replace("_", "")) and component(room, member).__name__ == name:
                if room == "modalities":
                    from ostinato.model.columns import column_settings

                    return column_settings(member)
                return settings_class(room, member)
    raise AttributeError(f"ostinato.settings has no '{name}'; `ostinato list` names what there is")
