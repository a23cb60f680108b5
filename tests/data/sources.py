"""Files written for a test, and opened as a source."""

import gzip

from ostinato.data.contract import Dialect
from ostinato.data.read import open_table
from ostinato.errors import DataError
from ostinato.modalities.contract import Symbols


class Upper:
    """Enough of a modality: raw values are strings in capitals."""

    spec = Symbols(300, 298, 299, 297)

    def parse(self, field):
        if field == "bad":
            raise DataError("'bad' is no text")
        return field.upper()

    def take(self, raw):
        return raw


def opened(folder, source, columns=("de", "en"), data_root=None, **dialect):
    columns = None if columns is None else list(columns)
    written_so = Dialect(**dialect)
    return open_table(source, columns=columns, base=folder, data_root=data_root, where="data.train", dialect=written_so)


def written(folder, name, content):
    content = content if isinstance(content, bytes) else content.encode()
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return name
