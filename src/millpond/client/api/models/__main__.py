"""Derive all models from their contracts and write them."""

from millpond.client.api import models

if __name__ == "__main__":
    for name in (*models.CONTRACTS, *models.EXTENSIONS):
        models.write(name)
