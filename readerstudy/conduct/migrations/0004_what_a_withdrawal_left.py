from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("conduct", "0003_shifts_again"),
    ]

    operations = [
        migrations.AddField(
            model_name="withdrawal",
            name="left_waiting",
            field=models.JSONField(default=list),
        ),
    ]
