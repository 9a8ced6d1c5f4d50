"""The table's SQL, and whose fault an error of the database is."""

import pytest
from psycopg import Error, errors

from receiver.destinations.postgresql_table import Table, blames_a_row, is_wrong_table, summary


class TestTable:
    def test_every_name_is_quoted(self) -> None:
        """Names of table, schema and channel are quoted as what each of them is."""
        table = Table(('s"', "t'"), channel="c'\"")
        statement = table.insert(2).as_string()
        assert 'INSERT INTO "s""".' in statement
        assert '"t\'"' in statement
        assert "pg_notify('c''\"', id::text)" in statement
        assert statement.count("(%s, %s, %s, %s, %s)") == 2
        assert str(table) == '"s"""."t\'"'

    def test_only_the_id_settles_a_conflict(self) -> None:
        """A conflict on another index is an error, not an event that quietly went nowhere."""
        assert "ON CONFLICT (id) DO NOTHING" in Table(("t",)).insert(1).as_string()


class TestBlame:
    @pytest.mark.parametrize(
        "error",
        [
            errors.CheckViolation(),
            errors.UntranslatableCharacter(),
            errors.RaiseException(),
            errors.NoDataFound(),
            errors.AssertFailure(),
            errors.CaseNotFound(),
            errors.WithCheckOptionViolation(),
            errors.ProgramLimitExceeded(),
        ],
        ids=repr,
    )
    def test_a_row(self, error: Error) -> None:
        """Values that a constraint, type, trigger or limit refuses."""
        assert (blames_a_row(error), is_wrong_table(error)) == (True, False)

    @pytest.mark.parametrize(
        "error",
        [errors.NotNullViolation(), errors.InvalidTextRepresentation(), errors.UndefinedColumn()],
        ids=repr,
    )
    def test_the_table(self, error: Error) -> None:
        """No event of ours has a null, or an id that is no UUID: the table asks for something else."""
        assert (blames_a_row(error), is_wrong_table(error)) == (False, True)

    @pytest.mark.parametrize(
        "error", [errors.SerializationFailure(), errors.DeadlockDetected(), errors.DiskFull()], ids=repr
    )
    def test_nobody(self, error: Error) -> None:
        """Trouble that passes."""
        assert (blames_a_row(error), is_wrong_table(error)) == (False, False)


class TestSummary:
    def test_the_text_is_left_out(self) -> None:
        """What the database says may quote the event; name and code do not."""
        assert summary(errors.CheckViolation("hunter2")) == "CheckViolation 23514"
