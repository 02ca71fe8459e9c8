"""`make bench`: every measurement."""

from benchmarks.checks import main as checks
from benchmarks.commands import report
from benchmarks.demo import main as demo
from benchmarks.gateway import main as gateway
from benchmarks.sizing import main as sizing
from benchmarks.sizing_commands import main as sizing_commands

report()
checks()
sizing()
sizing_commands()
gateway()
demo()
