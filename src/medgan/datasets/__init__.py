"""The Kedro data sets that kedro-datasets lacks. Every save is whole or not at all."""
