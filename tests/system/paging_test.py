"""Files larger than memory: a synthetic pager on small machines."""

from jx.testing.lab import SystemTest, depends_on, limit


@depends_on("variant", "smp")
class PagingTest(SystemTest):
    """`test/paging` where nothing else than eviction can make room."""

    @limit(300)
    def test_a_gibibyte_through_256_mib(self) -> None:
        self._run("a_gibibyte_through_256", "256M")

    @limit(300)
    def test_a_mapping_twice_the_machine(self) -> None:
        self._run("a_mapping_twice_the_machine", "64M")

    @limit(300)
    def test_pressure_comes_and_goes(self) -> None:
        self._run("pressure_comes_and_goes", "64M")

    def _run(self, case: str, mem: str) -> None:
        result = self.run_commands(f"test/paging {case}", "k pager", mem=mem, seconds=280)
        output = result.commands[0].output.decode(errors="replace")
        self.assertEqual([command.code for command in result.commands], [0, 0], output)
        self.assertNotIn("skip", output)
        self.assertRegex(result.commands[1].output.decode(), r"evicted [1-9]")
