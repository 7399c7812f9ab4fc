"""``python -m bowtie_cli``: the command ``bowtie`` where no script is installed."""

from bowtie_cli.main import main

if __name__ == "__main__":
    main(prog_name="bowtie")
