from tests.images.conftest import real_data as real_data
